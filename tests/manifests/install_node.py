"""Make sure that Node.js and npm are there, with which app packages are tried; install Debian's where they are not."""

import os
import shutil
import subprocess
import sys

NAMES = ("node", "nodejs")


def find_node() -> str | None:
    """The path of Node.js: NODE_BINARY, or the first of NAMES on the PATH."""
    return os.environ.get("NODE_BINARY") or next(filter(None, map(shutil.which, NAMES)), None)


def main() -> None:
    missing = [name for name, found in {"nodejs": find_node(), "npm": shutil.which("npm")}.items() if found is None]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        sys.exit("The tests of app packages need npm and Node.js 18 or later (or NODE_BINARY, its path); install them.")
    print(f"Installing {' and '.join(missing)} for the tests of app packages ...", flush=True)
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    subprocess.run([*sudo, "apt-get", "update", "-qq"], check=True, **quiet)
    subprocess.run([*sudo, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], check=True, **quiet)


if __name__ == "__main__":
    main()
