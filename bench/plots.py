"""Draws what `compare` has measured, as SVG."""

from xml.sax.saxutils import escape

from results import format_bytes

COLOURS = ["#33608c", "#c87137", "#5a8f47", "#8c5a9e", "#b0a032", "#4d9a9a", "#a04050"]
NAME_WIDTH = 90
CHART_WIDTH = 300
TEXT_WIDTH = 120  # behind a bar
BAR = 12
GROUP_GAP = 10
HEAD = 70
FOOT = 30


class Drawing:
    def __init__(self, width, height):
        self._lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
            f'<rect width="{width}" height="{height}" fill="white"/>',
        ]

    def rect(self, x, y, width, height, fill):
        self._lines.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"/>')

    def line(self, x1, y1, x2, y2, colour="#222"):
        self._lines.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>')

    def text(self, x, y, text, more=""):
        self._lines.append(f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(text)}</text>')

    def svg(self):
        return "\n".join([*self._lines, "</svg>", ""])


def draw_bar(drawing, x, y, scale, ratio, text, colour):
    """Its length is the median, the line through its end from least to most."""
    middle = y + BAR / 2
    drawing.rect(x, y + 1, ratio.middle * scale, BAR - 2, colour)
    drawing.line(x + ratio.least * scale, middle, x + ratio.most * scale, middle)
    drawing.text(x + max(ratio.middle, ratio.most) * scale + 5, middle + 4, text, 'font-size="9"')


def draw_chart(drawing, x, title, results, loads, servers, field):
    """A group of bars for each server, a bar for each load, all as ratios to the floor."""
    present = [(load, server) for server in servers for load in loads if server in results.servers(load)]
    ratios = {pair: results.ratio(*pair, field) for pair in present}
    scale = CHART_WIDTH / max(1.05, max(ratio.most for ratio in ratios.values()))
    drawing.text(x, HEAD - 12, title, 'font-weight="bold"')
    bottom = HEAD + len(servers) * (len(loads) * BAR + GROUP_GAP)
    drawing.line(x + scale, HEAD - 4, x + scale, bottom, "#999")
    drawing.text(x + scale, bottom + 12, "the floor", 'text-anchor="middle" fill="#666"')
    y = HEAD
    for server in servers:
        drawing.text(x - 6, y + len(loads) * BAR / 2 + 4, server, 'text-anchor="end"')
        for number, load in enumerate(loads):
            if (load, server) in ratios:
                rate = results.spread(load, server, field).middle
                draw_bar(drawing, x, y, scale, ratios[load, server],
                         f"{ratios[load, server].middle:.2f}: {rate:,.0f}", COLOURS[number % len(COLOURS)])
            y += BAR
        y += GROUP_GAP
    drawing.line(x, HEAD - 4, x, bottom)


def draw(results, kind):
    """The picture of a method and a size."""
    method, size = kind
    loads = [load for load in results.loads if load.kind == kind]
    servers = list(dict.fromkeys(server for load in loads for server in results.servers(load)))
    panel = NAME_WIDTH + CHART_WIDTH + TEXT_WIDTH
    height = HEAD + len(servers) * (len(loads) * BAR + GROUP_GAP) + FOOT
    drawing = Drawing(2 * panel, height)
    drawing.text(10, 18, f"{method}, {format_bytes(size)}: ratio to the floor; medians, lines from least to most",
                 'font-size="13"')
    x = 10
    for number, load in enumerate(loads):
        drawing.rect(x, 29, 10, 10, COLOURS[number % len(COLOURS)])
        drawing.text(x + 14, 38, load.shape)
        x += 60
    drawing.text(x, 38, "connections × calls in flight on each", 'fill="#666"')
    draw_chart(drawing, NAME_WIDTH, "calls a second", results, loads, servers, "calls_per_second")
    draw_chart(drawing, panel + NAME_WIDTH, "calls per second of the server's CPU", results, loads, servers,
               "calls_per_cpu_second")
    return drawing.svg()


def write_plots(results, folder):
    for method, size in results.kinds:
        name = f"bench-{method}-{format_bytes(size).replace(' ', '')}.svg"
        (folder / name).write_text(draw(results, (method, size)))
