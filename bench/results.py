"""The samples of `compare` and their tables."""

import collections
import dataclasses
import datetime
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys

from rows import FLOOR


@dataclasses.dataclass(frozen=True)
class Load:
    """The load that all servers of a group of rows are measured with."""

    method: str
    bytes: int
    connections: int
    outstanding: int  # on each connection

    @property
    def shape(self):
        return f"{self.connections}×{self.outstanding}"

    @property
    def kind(self):
        return self.method, self.bytes


@dataclasses.dataclass
class Sample:
    server: str
    load: Load
    round: int
    calls_per_second: float
    calls_per_cpu_second: float  # CPU time of the server: user and system, all threads
    p50_us: float
    p99_us: float
    generator_busy: float  # share of its core that sluice-load used
    switches_per_call: float = math.nan  # context switches of the server's threads


def sample_of(fields):
    """Makes a sample of what dataclasses.asdict returned."""
    return Sample(**{**fields, "load": Load(**fields["load"])})


def format_bytes(size):
    return f"{size // 1024} KiB" if size % 1024 == 0 else f"{size} bytes"


@dataclasses.dataclass
class Spread:
    """Median, least and most of a value over the rounds."""

    middle: float
    least: float
    most: float

    def format(self, digits):
        middle = f"{self.middle:,.{digits}f}"
        if self.least == self.most:
            return middle
        return f"{middle} ({self.least:,.{digits}f} to {self.most:,.{digits}f})"


def spread(values):
    values = list(values)
    return Spread(statistics.median(values), min(values), max(values))


class Results:
    def __init__(self, samples):
        self._rounds = collections.defaultdict(dict)  # of (load, server), by round
        for sample in samples:
            self._rounds[sample.load, sample.server][sample.round] = sample
        self.loads = list(dict.fromkeys(sample.load for sample in samples))
        self.kinds = list(dict.fromkeys(load.kind for load in self.loads))

    def servers(self, load):
        return [server for of, server in self._rounds if of == load]

    def spread(self, load, server, field):
        return spread(getattr(sample, field) for sample in self._rounds[load, server].values())

    def ratio(self, load, server, field):
        """Returns ratios to the floor in the same round, which had the same noise."""
        floor = self._rounds[load, FLOOR]
        return spread(getattr(sample, field) / getattr(floor[number], field)
                      for number, sample in self._rounds[load, server].items())


def format_time(microseconds):
    return f"{microseconds / 1000:.1f} ms" if microseconds >= 1000 else f"{microseconds:.0f} µs"


def table_row(results, load, server):
    return [
        server,
        results.spread(load, server, "calls_per_second").format(0),
        results.ratio(load, server, "calls_per_second").format(2),
        f"{results.spread(load, server, 'calls_per_cpu_second').middle:,.0f}",
        results.ratio(load, server, "calls_per_cpu_second").format(2),
        format_time(results.spread(load, server, "p50_us").middle),
        f"{results.ratio(load, server, 'p50_us').middle:.2f}",
        format_time(results.spread(load, server, "p99_us").middle),
        f"{results.spread(load, server, 'switches_per_call').middle:.2f}",
        f"{100 * results.spread(load, server, 'generator_busy').middle:.0f} %",
    ]


def print_tables(results, file=None):
    """Prints a Markdown table for each method and size."""
    for method, size in results.kinds:
        print(f"\n{method}, {format_bytes(size)}:\n", file=file)
        print("| connections × in flight | server | calls/s (least to most) | of the floor (least to most) "
              "| calls per CPU second | of the floor (least to most) | p50 | of the floor's | p99 "
              "| context switches a call | generator busy |", file=file)
        print("|---" * 11 + "|", file=file)
        for load in results.loads:
            if load.kind != (method, size):
                continue
            shape = load.shape
            for server in results.servers(load):
                print(f"| {shape} | {' | '.join(table_row(results, load, server))} |", file=file)
                shape = ""


def first_line(path, key, separator):
    for line in pathlib.Path(path).read_text().splitlines():
        name, _, value = line.partition(separator)
        if name.strip() == key:
            return value.strip().strip('"')
    return "unknown"


def grpc_version():
    try:
        return subprocess.run(["pkg-config", "--modversion", "grpc++"], capture_output=True, text=True,
                              check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "(version unknown)"


def describe_run():
    """Returns one line: when, where and how the run was made."""
    processor = first_line("/proc/cpuinfo", "model name", ":")
    system = first_line("/etc/os-release", "PRETTY_NAME", "=")
    name = pathlib.Path(sys.argv[0])
    command = " ".join([f"bench/{name.name}", *sys.argv[1:]])
    return (f"`{command}` on {datetime.date.today()}: {os.cpu_count()} × {processor}, {system}, "
            f"Linux {platform.release()}, gRPC {grpc_version()}, load average {os.getloadavg()[0]:.1f} at the start.")
