"""Draws figures for docs/ with matplotlib, as SVG.

matplotlib is the Debian package python3-matplotlib, of Debian's own Python.
"""

import sys

try:
    import matplotlib
except ImportError:
    sys.exit("drawing needs the Debian package python3-matplotlib, and /usr/bin/python3")

matplotlib.use("svg")
matplotlib.rcParams.update({
    "svg.hashsalt": "sluice",  # the same data give the same bytes
    "svg.fonttype": "none",  # text stays text
    "font.family": ["sans-serif"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e5e1",
    "legend.frameon": False,
})

from matplotlib import pyplot, ticker  # noqa: E402  (after the backend)

from results import format_bytes  # noqa: E402

COLOURS = ["#33608c", "#c87137", "#5a8f47", "#8c5a9e", "#b0a032", "#4d9a9a", "#a04050"]


def save(figure, path):
    """Writes the figure on a white page, so that a dark viewer shows it too."""
    figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None})
    pyplot.close(figure)


def draw_ratios(axes, title, results, loads, servers, field):
    """Draws a group of bars for each server and a bar for each load, as ratios to the floor.

    A bar is the median of the rounds. The line at its end runs from least to most.
    """
    height = 0.8 / len(loads)
    for number, load in enumerate(loads):
        for row, server in enumerate(servers):
            if server not in results.servers(load):
                continue
            ratio = results.ratio(load, server, field)
            y = row + (number - (len(loads) - 1) / 2) * height
            axes.barh(y, ratio.middle, height * 0.9, color=COLOURS[number % len(COLOURS)],
                      label=load.shape if row == 0 else None,
                      xerr=[[ratio.middle - ratio.least], [ratio.most - ratio.middle]],
                      error_kw={"elinewidth": 0.8})
            rate = results.spread(load, server, field).middle
            axes.annotate(f"{ratio.middle:.2f}: {rate:,.0f}", (max(ratio.middle, ratio.most), y), (4, 0),
                          textcoords="offset points", va="center", fontsize=6.5)
    axes.axvline(1, color="#999", linewidth=0.8)
    axes.set_title(title)
    axes.set_yticks(range(len(servers)), servers)
    axes.set_ylim(len(servers) - 0.4, -0.6)  # the first server on top
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.25)
    axes.set_xlim(left=0)


def draw_comparison(results, kind):
    """Returns the figure of one method and request size."""
    method, size = kind
    loads = [load for load in results.loads if load.kind == kind]
    servers = list(dict.fromkeys(server for load in loads for server in results.servers(load)))
    bars = len(servers) * (len(loads) + 1)
    figure, panels = pyplot.subplots(1, 2, figsize=(10.5, 1.9 + 0.13 * bars), sharey=True, layout="constrained")
    figure.suptitle(f"{method}, {format_bytes(size)}: ratio to the floor; medians, lines from least to most")
    draw_ratios(panels[0], "calls a second", results, loads, servers, "calls_per_second")
    draw_ratios(panels[1], "calls per second of the server's CPU", results, loads, servers, "calls_per_cpu_second")
    panels[0].legend(loc="upper left", bbox_to_anchor=(0, -0.3 / (0.13 * bars)), ncols=len(loads),
                     title="connections × calls in flight on each", alignment="left")
    return figure


def write_comparison(results, folder):
    """Writes a figure for each method and request size of `compare`."""
    for method, size in results.kinds:
        name = f"bench-{method}-{format_bytes(size).replace(' ', '')}.svg"
        save(draw_comparison(results, (method, size)), folder / name)


def clock(seconds, _position=None):
    """Formats seconds since midnight as 20:30."""
    minutes = round(seconds / 60)
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def draw_lines(axes, title, hours, lines, unit, **scale):
    """Draws lines over time. `lines` is a list of (name, values, colour, filled)."""
    for name, values, colour, filled in lines:
        axes.plot(hours, values, color=colour, linewidth=1.2, label=name)
        if filled:
            axes.fill_between(hours, values, color=colour, alpha=0.18)
    axes.set_title(title)
    axes.set_ylabel(unit)
    axes.set(**scale)
    if "yscale" not in scale:
        axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", fontsize=8)


def draw_load(report):
    """Returns the figure of a profile that sluice-load has played, from its --json report."""
    profile, timeline = report["profile"], report["timeline"]
    start, step = profile["start_seconds"], report["interval_seconds"] * profile["compress"]
    times = [start + step * (number + 0.5) for number in range(len(timeline))]
    blue, green, ochre, red, violet, pink = "#2a78d6", "#14966a", "#c98500", "#d64545", "#6a51c8", "#cf4f8b"

    def rate(field):
        return [interval[field] / report["interval_seconds"] for interval in timeline]

    def values(field, factor=1):
        return [interval.get(field, 0) * factor for interval in timeline]

    has_pool = any("workers" in interval for interval in timeline)
    figure, rows = pyplot.subplots(4 if has_pool else 2, 1, figsize=(7.5, 8.5 if has_pool else 4.6), sharex=True,
                                   layout="constrained")
    hours = profile["seconds"] * profile["compress"] / 3600
    figure.suptitle(f"{profile['name']}: {hours:g} h played in {profile['seconds']:g} s")
    losses = [("refused", rate("refused"), ochre, False), ("too late", rate("late"), red, False),
              ("failed", rate("failed"), pink, False)]
    draw_lines(rows[0], "Calls", times, [
        ("offered", rate("offered"), blue, False), ("answered OK in time", rate("in_time"), green, True),
        *(line for line in losses if any(line[1]))], "calls a second")
    milliseconds = [(name, [value or None for value in values(field, 1e-3)], colour, False)
                    for name, field, colour in [("50 % within", "p50_us", blue), ("99 % within", "p99_us", red)]]
    draw_lines(rows[1], "Time to an answer", times, milliseconds, "ms", yscale="log")
    if has_pool:
        draw_lines(rows[2], "Workers", times, [("all", values("workers"), violet, False),
                                               ("busy", values("busy"), green, True)], "workers")
        draw_lines(rows[3], "Queue", times, [("in the queue", values("depth"), blue, False),
                                             ("in the waiting room", values("waiting"), ochre, False)], "submissions")
    rows[-1].set_xlim(start, start + step * len(timeline))
    rows[-1].xaxis.set_major_locator(ticker.MaxNLocator(12, steps=[1, 2, 3, 4, 6, 8, 10]))
    if step * len(timeline) >= 4 * 3600:
        rows[-1].xaxis.set_major_locator(ticker.MultipleLocator(step * len(timeline) / 12))
    rows[-1].xaxis.set_major_formatter(ticker.FuncFormatter(clock))
    return figure


def write_load(report, path):
    save(draw_load(report), path)
