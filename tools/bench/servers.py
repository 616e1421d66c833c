"""What the benchmarks share: servers that they start, ask, and stop."""

import contextlib
import pathlib
import socket
import subprocess
import sys
import time

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 120

# A store that keeps nothing: what remains is Sluice's own.
DISCARD = "{kind: discard, delay: 0ms, allow_loss: true}"


def fail(message):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {message}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_listening(port, process):
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            fail(f"{process.args[0]} ended with {process.returncode}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.02)
    fail(f"{process.args[0]} does not listen after {START_TIMEOUT_S} s")


def stop(process, timeout_s=STOP_TIMEOUT_S):
    """Ends a server as an operator does."""
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        fail(f"{process.args[0]} did not stop within {timeout_s} s")


@contextlib.contextmanager
def running(command, port, log, **popen):
    """The server's process, which listens on `port`, until the block ends."""
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, **popen)
    try:
        await_listening(port, process)
        yield process
    finally:
        stop(process)
