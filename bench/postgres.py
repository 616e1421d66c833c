"""A PostgreSQL server for a benchmark."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.parse

from servers import fail

START_TIMEOUT_S = 60
USER = "postgres"  # PostgreSQL refuses to run as root


def programs():
    """Returns the folder of Debian's PostgreSQL programs, of the newest version."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else fail("PostgreSQL is not installed: tools/install test")


def as_user(command):
    """Returns a command that runs as USER if this process is root, and ends when this process ends."""
    words = ["setpriv", "--pdeathsig=QUIT"]
    if os.geteuid() == 0:
        words += [f"--reuid={USER}", f"--regid={USER}", "--init-groups"]
    return words + command


@contextlib.contextmanager
def running(parent):
    """Runs a server in a fresh folder under `parent`. Yields the URL of its database.

    The server listens only on a socket in that folder.
    """
    with tempfile.TemporaryDirectory(prefix="sluice-pg.", dir=parent) as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        if os.geteuid() == 0:
            shutil.chown(folder, USER, USER)
        data = folder / "data"
        subprocess.run(as_user([str(programs() / "initdb"), f"--pgdata={data}", "--username=sluice", "--auth=trust",
                                "--encoding=UTF8", "--no-locale"]), check=True, stdout=subprocess.DEVNULL)
        server = subprocess.Popen(as_user([str(programs() / "postgres"), "-D", str(data), "-k", name, "-h", ""]),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            await_socket(folder, server)
            yield f"postgresql:///postgres?user=sluice&host={urllib.parse.quote(name)}"
        finally:
            server.terminate()
            server.wait()


def await_socket(folder, server):
    deadline = time.monotonic() + START_TIMEOUT_S
    ready = [str(programs() / "pg_isready"), "--quiet", f"--host={folder}"]
    while subprocess.run(ready, check=False).returncode != 0:
        if server.poll() is not None or time.monotonic() > deadline:
            fail("PostgreSQL did not start")
        time.sleep(0.05)
