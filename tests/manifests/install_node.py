"""Make sure that Node.js is there, in which the code of app packages is tried; install Debian's where it is not."""

import os
import shutil
import subprocess
import sys

NAMES = ("node", "nodejs")


def find_node() -> str | None:
    """The path of Node.js: NODE_BINARY, or the first of NAMES on the PATH."""
    return os.environ.get("NODE_BINARY") or next(filter(None, map(shutil.which, NAMES)), None)


def main() -> None:
    if find_node() is not None:
        return
    if shutil.which("apt-get") is None:
        sys.exit("The tests of app packages need Node.js 18 or later; install it, or name it in NODE_BINARY.")
    print("Installing Node.js for the tests of app packages ...", flush=True)
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    subprocess.run([*sudo, "apt-get", "update", "-qq"], check=True, **quiet)
    subprocess.run([*sudo, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "nodejs"], check=True, **quiet)


if __name__ == "__main__":
    main()
