"""Shared by the benchmarks: their options, servers to start and stop, load, and progress."""

import argparse
import contextlib
import json
import os
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
{pools}methods:
{methods}drain: {{timeout: 1s}}
"""
POOL = """\
  {name}:
    queue: {queue}
    waiting: {{max: 10000}}
    workers: {{min: {workers}, max: {workers}}}
    batch: {{max: {batch}}}
    fair_by: {fair_by}
"""
METHOD = """\
  {method}: {{pool: {pool}, {settings}}}
"""
DEFAULT = ["default"]
# All methods that store something. The default covers RecordEvents.
METHODS = ["default", "Submit", "SubmitStream", "ImportPatients"]

MEMORY = "{kind: memory, capacity: 4096}"
JOURNAL = "{kind: journal, path: FOLDER/journal.db, capacity: 1000000, capacity_bytes: 4GiB}"
# A store that keeps nothing: all remaining costs are Sluice's own.
DISCARD = "{kind: discard, delay: 0ms, allow_loss: true}"
HANGING = "{kind: discard, delay: 1m, allow_loss: true}"
SQLITE = "{kind: sqlite, path: FOLDER/sluice.db}"

BLOCK = "on_full: block, ack: stored"
# Acknowledged by a memory queue, which may lose acknowledged submissions.
QUEUED = "on_full: block, ack: queued, allow_loss: true"


def new_parser(doc):
    """Returns a parser with the option that all benchmarks have."""
    root = pathlib.Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, default=root / "build/release/bin",
                        help="folder of the built programs")
    return parser


def require_programs(parser, options, *names):
    """Ends the benchmark if a program is not built."""
    for name in names:
        if not (options.binaries / name).exists():
            parser.error(f"{options.binaries / name} does not exist: build it, or give --binaries")


def run_json(command, core=None):
    """Runs a program, on one core if `core` is given, and returns the JSON that it prints."""
    pin = (lambda: os.sched_setaffinity(0, {core})) if core is not None else None
    run = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=pin)
    if run.returncode != 0:
        fail(f"{pathlib.Path(command[0]).name}: {run.stderr.strip()}")
    return json.loads(run.stdout)


def run_load(options, port, *flags, core=None):
    """Runs sluice-load against a port of this machine and returns its report."""
    return run_json([str(options.binaries / "sluice-load"), f"127.0.0.1:{port}", "--json", *flags], core)


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


def floor_command(binaries, *flags):
    """Returns a function that makes the command for a port and a fresh folder."""
    def command(port, _folder):
        return [str(binaries / "sluice-floor"), f"--listen=127.0.0.1:{port}", *flags]

    return command


def naive_command(binaries, workers):
    """Returns such a function for a pool that is never full and does nothing with a call."""
    def command(port, _folder):
        return [str(binaries / "sluice-blocking-pool"), f"--listen=127.0.0.1:{port}", f"--workers={workers}",
                "--capacity=1000000", "--delay=0"]

    return command


def sluice_command(binaries, store, workers, queue=MEMORY, settings=BLOCK, methods=DEFAULT, batch=256, fair_by="none"):
    """Returns such a function for sluice, with one pool for each of `methods`."""
    def command(port, folder):
        pools = "".join(POOL.format(name=f"of_{name}", queue=queue, workers=workers, batch=batch, fair_by=fair_by)
                        for name in methods)
        entries = "".join(
            METHOD.format(method=name if name == "default" else f"sluice.v1.Ingestion/{name}", pool=f"of_{name}",
                          settings=settings) for name in methods)
        text = CONFIG.format(port=port, metrics_port=free_port(), store=store, pools=pools, methods=entries)
        config = folder / "config.yaml"
        config.write_text(text.replace("FOLDER", str(folder)))
        return [str(binaries / "sluice"), "--config", str(config)]

    return command


def await_listening(port, process, log=None):
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = log.read_text(errors="replace") if log else ""
            fail(f"{process.args[0]} ended with {process.returncode}\n{said}".rstrip())
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.02)
    fail(f"{process.args[0]} did not listen within {START_TIMEOUT_S} s")


def stop(process):
    """Stops a server with SIGTERM."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        fail(f"{process.args[0]} did not stop within {STOP_TIMEOUT_S} s")


@contextlib.contextmanager
def running(command, port, log, **popen):
    """Runs a server until the block ends. Yields its process once it listens on `port`."""
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, **popen)
    try:
        await_listening(port, process, log)
        yield process
    finally:
        stop(process)
