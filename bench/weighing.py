"""Shared by the benchmarks that measure a server's memory."""

import contextlib
import os
import pathlib
import subprocess
import time
import urllib.request

from servers import fail

LIMIT_S = 120
REST_S = 2


def await_that(what, condition):
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            fail(f"timed out after {LIMIT_S} s: {what}")
        time.sleep(0.1)


def await_rest(value):
    """Waits until a value does not change any more."""
    last = [None, time.monotonic()]

    def rests():
        now = value()
        if now != last[0]:
            last[:] = now, time.monotonic()
        return time.monotonic() - last[1] >= REST_S

    await_that("memory does not change any more", rests)


def metric(port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + "{", name + " ")))


def resident_bytes(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return fail(f"{process.args[0]} has ended")


def open_files(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


@contextlib.contextmanager
def running(command, log):
    """Runs a program until the block ends, then kills it."""
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
