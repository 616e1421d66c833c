"""What the benchmarks share: servers that they start and stop, and progress."""

import contextlib
import pathlib
import socket
import subprocess
import sys
import time

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 120

CONFIG = """\
listen: 127.0.0.1:{port}
metrics: 127.0.0.1:{metrics_port}
store: {store}
pools:
  clinical:
    queue: {queue}
    waiting: {{max: 10000}}
    workers: {{min: {workers}, max: {workers}}}
    batch: {{max: 256}}
methods:
  default: {{pool: clinical, on_full: block, ack: {ack}}}
drain: {{timeout: 1s}}
"""
MEMORY = "{kind: memory, capacity: 4096}"
# A store that keeps nothing: what remains is Sluice's own.
DISCARD = "{kind: discard, delay: 0ms, allow_loss: true}"


def fail(message):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {message}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def show_progress(done, total):
    if sys.stderr.isatty():
        width = 20
        filled = "=" * (done * width // total)
        end = "\r\x1b[K" if done == total else ""
        print(f"\r\x1b[K[{filled:{width}}] {done} of {total} runs", end=end, file=sys.stderr, flush=True)


def floor_command(binaries):
    """A function that makes the command of a port and a fresh folder, as below."""
    def command(port, _folder):
        return [str(binaries / "sluice-floor"), f"--listen=127.0.0.1:{port}"]

    return command


def sluice_command(binaries, store, workers, queue=MEMORY, ack="stored"):
    def command(port, folder):
        config = folder / "config.yaml"
        config.write_text(
            CONFIG.format(
                port=port,
                metrics_port=free_port(),
                store=store.replace("FOLDER", str(folder)),
                queue=queue.replace("FOLDER", str(folder)),
                ack=ack,
                workers=workers,
            )
        )
        return [str(binaries / "sluice"), "--config", str(config)]

    return command


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


def stop(process):
    """Ends a server as an operator does."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        fail(f"{process.args[0]} did not stop within {STOP_TIMEOUT_S} s")


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
