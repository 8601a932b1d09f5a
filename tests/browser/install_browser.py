"""Make sure that a browser for the page tests is there; install Debian's Chromium where it is not."""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str | None:
    """The path of a browser of the Chromium family: BROWSER_PATH, or the first of NAMES on the PATH."""
    return os.environ.get("BROWSER_PATH") or next(filter(None, map(shutil.which, NAMES)), None)


def main() -> None:
    if find_browser() is not None:
        return
    if shutil.which("apt-get") is None:
        sys.exit("The page tests need Chromium or Chrome; install one, or name it in BROWSER_PATH.")
    print("Installing Chromium for the page tests ...", flush=True)
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    subprocess.run([*sudo, "apt-get", "update", "-qq"], check=True, **quiet)
    subprocess.run(
        [*sudo, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
        check=True,
        **quiet,
    )


if __name__ == "__main__":
    main()
