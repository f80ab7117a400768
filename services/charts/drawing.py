"""Draws a chart: JSON on standard input becomes a PNG on standard output.

Run as a process of its own, so that the bot's memory does not grow by that of the plotting library.
"""

import sys
from io import BytesIO

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from services.charts.chart import Chart

#: Inches at 100 dots: 1000 × 1250, which a phone shows without zooming.
SIZE, DOTS = (8.0, 10.0), 125
COLOURS = ("#2e9e5b", "#f2b233", "#d9483b", "#b5bcc4")
INK, PALE = "#22303c", "#dfe4e8"


def png(chart: Chart) -> bytes:
    mpl.rcParams |= {"font.size": 13, "text.color": INK, "axes.labelcolor": INK, "text.parse_math": False}
    figure = Figure(figsize=SIZE, dpi=DOTS, layout=ConstrainedLayoutEngine(w_pad=0.2, h_pad=0.2), facecolor="white")
    if chart.tags:
        above, below = figure.subplots(2, 1, height_ratios=(1, 1))
        _tags(below, chart)
    else:
        above = figure.subplots()
    _days(above, chart)
    made = BytesIO()
    figure.savefig(made, format="png")
    return made.getvalue()


def _days(axes: Axes, chart: Chart) -> None:
    bottom = [0] * len(chart.days)
    for series, colour in zip(chart.series, COLOURS, strict=True):
        if any(series.posts):
            axes.bar(range(len(chart.days)), series.posts, bottom=bottom, color=colour, label=series.label, width=0.8)
            bottom = [low + more for low, more in zip(bottom, series.posts, strict=True)]
    axes.set_title(chart.title, loc="left", fontsize=17, fontweight="bold", pad=14)
    weeks = range(len(chart.days) - 1, -1, -7)
    axes.set_xticks(list(weeks), [chart.days[at] for at in weeks])
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.grid(axis="y", color=PALE)
    axes.legend(frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.08))
    _plain(axes)


def _tags(axes: Axes, chart: Chart) -> None:
    tags = chart.tags[::-1]
    places = range(len(tags))
    axes.barh(places, [tag.posts for tag in tags], color="#3b82c4", height=0.65)
    axes.set_yticks(list(places), [tag.label for tag in tags])
    most = max(tag.posts for tag in tags)
    for place, tag in zip(places, tags, strict=True):
        axes.text(tag.posts + most * 0.015, place, f"{tag.posts}  {tag.trend}", va="center")
    axes.set_xlim(0, most * 1.18)
    axes.set_xticks([])
    axes.set_title(chart.tags_title, loc="left", fontsize=17, fontweight="bold", pad=14)
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=INK)
    axes.set_axisbelow(True)


if __name__ == "__main__":
    sys.stdout.buffer.write(png(Chart.from_json(sys.stdin.read())))
