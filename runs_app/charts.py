"""Charts: figures as JSON, made by Plotly, with our template in light and dark.

A figure says what it shows; the browser chooses the template and adds live points. Colours are apart for the
colour-blind (blue-green against orange), and points and lines differ in more than colour.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.utils import PlotlyJSONEncoder

from edgewise.spec.detection import THRESHOLDS
from runs_app.maps import Point
from runs_app.models import Detection, Metric, Run, Series
from runs_app.queries import Curves, Errors

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif'
LIGHT = {
    "ink": "#14181b", "quiet": "#566069", "line": "#e1e6e8", "paper": "#ffffff", "train": "#006a75",
    "validation": "#b25d00", "test": "#6b5bb5", "bad": "#b3261e",
    "muted": ["#f5f7f7", "#c3ccd1"], "errors": ["#fdf1e2", "#e08a2e", "#8a3b00"],
}  # fmt: skip
DARK = {
    "ink": "#e9edef", "quiet": "#9ba7af", "line": "#2b3237", "paper": "#111416", "train": "#4fc4ce",
    "validation": "#e59a4a", "test": "#a89bea", "bad": "#ff8f86",
    "muted": ["#191d20", "#3d474e"], "errors": ["#35240f", "#a85f14", "#ffc27d"],
}  # fmt: skip
MOST_CELLS_WITH_NUMBERS = 40
CURVES = ("train", "validation")
WINDOWS = ("quiet", "validation", "train", "test", "bad")
MANY = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#eeca3b", "#72b7b2", "#9d755d", "#ff9da6")
"""Colours of any number of labels, of a lightness that is seen on both papers; they repeat with other shapes."""
DASHES = ("dot", "dash", "solid", "dashdot", "longdash")
SHOWN_PER_HOUR, SHOWN_MISSED = 10.0, 0.5
"""What the axes of the trade-off show at least; there is more to the right and above."""


def progress_figure(run: Run, curves: Curves) -> str:
    """Loss and accuracy, one under the other, over one axis of steps."""
    traces = [
        _curve(curves.points[series], series, value, axis)
        for value, axis in (("loss", "y"), ("accuracy", "y2"))
        for series in Series.values
    ]
    figure = go.Figure([*traces, _best(run)])
    figure.update_layout(
        height=560,
        hovermode="x unified",
        hoversubplots="axis",
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        margin={"l": 56, "r": 16, "t": 32, "b": 44},
        # A little more than the whole, so that the last markers are not cut off.
        xaxis={"title": {"text": "Step"}, "anchor": "y2", "range": [0, 1.01 * run.parameters["steps"]]},
        # Without points Plotly would invent losses from -1 to 4; the script shows the numbers when points come.
        yaxis={"title": {"text": "Loss"}, "domain": [0.55, 1], "showticklabels": any(curves.points.values())},
        yaxis2={"title": {"text": "Accuracy"}, "domain": [0, 0.45], "tickformat": ".0%", "range": [0, 1.03]},
    )
    earlier = run.initial_weights
    if earlier is not None and earlier.best_accuracy is not None:
        figure.add_hline(
            y=earlier.best_accuracy, yref="y2", line={"dash": "dot", "width": 1, "color": "#808b92"},
            annotation={"text": f"{earlier.name} ended at {earlier.best_accuracy:.2%}", "yref": "y2"},
            annotation_position="top left",
        )  # fmt: skip
    return _document(figure, {"newest_id": curves.newest_id})


def matrix_figure(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> str:
    """The confusion matrix. The diagonal is grey, so that the errors stand out."""
    size = len(labels)
    counts = [list(row) for row in confusion]
    shares = [[cell / (sum(row) or 1) for cell in row] for row in counts]
    numbers = size <= MOST_CELLS_WITH_NUMBERS
    # A tenth of a row confused is the full colour: three clips of hundreds must not look like a disaster.
    worst = {"counts": 0.1 * max(map(sum, counts), default=1), "shares": 0.1}
    traces = []
    for mode, values, template in (("counts", counts, "%{z}"), ("shares", shares, "%{z:.0%}")):
        for diagonal in (True, False):
            cells = [
                [values[i][j] if (i == j) is diagonal and counts[i][j] else None for j in range(size)]
                for i in range(size)
            ]
            errors = [cell for row in cells for cell in row if cell is not None]
            top = max([worst[mode], *errors])
            traces.append(
                go.Heatmap(
                    x=list(range(size)), y=list(range(size)), z=cells, xgap=1, ygap=1, showscale=False,
                    zmin=0, zmax=top, visible=mode == "counts", meta={"mode": mode}, customdata=counts,
                    hoverongaps=False, texttemplate=template if numbers else None, name="",
                    hovertemplate="%{customdata} clips of <b>%{y}</b> were heard as <b>%{x}</b><extra></extra>",
                )
            )  # fmt: skip
    axis = {"tickmode": "array", "tickvals": list(range(size)), "ticktext": list(labels), "showgrid": False,
            "zeroline": False, "constrain": "domain", "fixedrange": True}  # fmt: skip
    figure = go.Figure(traces)
    figure.update_layout(
        height=max(360, min(900, 160 + 34 * size)),
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={
            **axis,
            "title": {"text": "Heard as", "standoff": 12},
            "automargin": True,
            "autotickangles": [0, -45, -90],
        },
        yaxis={**axis, "title": {"text": "Spoken", "standoff": 12}, "automargin": True, "autorange": "reversed"},
    )
    return _document(figure, {})


def detection_figure(found: Detection, chosen: Errors) -> str:
    """Missed keywords against false accepts per hour (DET): one line for each smoothing window, and the chosen point.

    Both axes are linear: most points of a good network have no false accept at all, and zero has no logarithm.
    """
    spoken, hours = sum(found.spoken), found.hours
    traces = []
    for curve, dash in zip(found.curves, DASHES, strict=True):
        window = curve["smoothing_ms"]
        name = f"{window} ms" if window else "none"
        traces.append(
            go.Scatter(
                x=[count / hours for count in curve["false_accepts"]],
                y=[sum(misses) / spoken for misses in curve["misses"]],
                customdata=list(THRESHOLDS), name=name,
                meta={"series": name, "value": "missed", "smoothing_ms": window},
                mode="lines+markers", marker={"size": 4}, line={"width": 1.5, "dash": dash},
                hovertemplate="threshold %{customdata:.2f}: %{x:.1f} an hour, %{y:.1%} missed",
            )
        )  # fmt: skip
    traces.append(
        go.Scatter(
            x=[chosen.false_accepts_per_hour], y=[chosen.missed], name="chosen point", mode="markers",
            meta={"series": "chosen", "value": "missed"}, customdata=[chosen.point.threshold],
            marker={"symbol": "star", "size": 16, "color": "#c9920e", "line": {"width": 1, "color": "#ffffff"}},
            hovertemplate="chosen: %{x:.1f} an hour, %{y:.1%} missed<extra></extra>",
        )
    )  # fmt: skip
    figure = go.Figure(traces)
    figure.update_layout(
        height=440,
        hovermode="closest",
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "title": {"text": "Smoothing"}},
        margin={"l": 56, "r": 16, "t": 32, "b": 44},
        xaxis={
            "title": {"text": "False accepts per hour"},
            "range": _from_zero(max(SHOWN_PER_HOUR, 2 * chosen.false_accepts_per_hour)),
        },
        yaxis={
            "title": {"text": "Keywords missed"}, "tickformat": ".0%",
            "range": _from_zero(min(1.0, max(SHOWN_MISSED, 1.5 * chosen.missed))),
        },
    )  # fmt: skip
    return _document(figure, {}, WINDOWS)


def map_figure(points: Sequence[Point]) -> str:
    """Clips in the plane, one colour for each label; rings mark what is probably mislabelled, crosses what is far off.

    Each point carries the id of its clip, its name, its label and what its neighbours are called.
    """
    labels = sorted({point.label for point in points})
    traces = [_places([point for point in points if point.label == label], label) for label in labels]
    for place, trace in enumerate(traces):
        trace.marker.update(size=6, opacity=0.8, color=MANY[place % len(MANY)], symbol=place // len(MANY))
    rings = _places([point for point in points if point.is_suspect], "probably mislabelled")
    rings.marker.update(size=15, symbol="circle-open", color="#d0342c", line={"width": 2})
    crosses = _places([point for point in points if point.is_far], "far from all others")
    crosses.marker.update(size=12, symbol="x-thin", line={"width": 2, "color": "#808b92"})
    figure = go.Figure([*traces, *(trace for trace in (rings, crosses) if trace.x)])
    hidden = {"visible": False}
    figure.update_layout(
        height=640, hovermode="closest", dragmode="pan", margin={"l": 0, "r": 0, "t": 32, "b": 8},
        legend={"itemsizing": "constant", "orientation": "h", "y": 0, "yanchor": "top"},
        xaxis=hidden, yaxis={**hidden, "scaleanchor": "x"},
    )  # fmt: skip
    return _document(figure, {})


def _places(points: Sequence[Point], name: str) -> go.Scatter:
    return go.Scatter(
        x=[point.x for point in points], y=[point.y for point in points], mode="markers", name=name,
        customdata=[[str(point.clip), point.name, point.label, point.around] for point in points],
        meta={"series": name, "value": "place"},
        hovertemplate="<b>%{customdata[2]}</b> among “%{customdata[3]}”<br>%{customdata[1]}<extra></extra>",
    )  # fmt: skip


def _from_zero(end: float) -> list[float]:
    """A range that shows whole markers at zero, too."""
    return [-0.02 * end, end]


def _curve(points: Sequence[Metric], series: str, value: str, axis: str) -> go.Scatter:
    """The training curve is a thin line, the validation curve has points."""
    thin = series == Series.TRAINING
    unit = ".2%" if value == "accuracy" else ".4f"
    return go.Scatter(
        x=[point.step for point in points],
        y=[getattr(point, value) for point in points],
        yaxis=axis,
        name=series.capitalize(),
        meta={"series": series, "value": value},
        mode="lines" if thin else "lines+markers",
        line={"width": 1 if thin else 2},
        opacity=0.55 if thin else 1,
        marker={"size": 6},
        legendgroup=series,
        showlegend=value == "loss",
        hovertemplate=f"{value} %{{y:{unit}}}",
    )


def _best(run: Run) -> go.Scatter:
    known = run.best_step is not None
    return go.Scatter(
        x=[run.best_step] if known else [],
        y=[run.best_accuracy] if known else [],
        yaxis="y2",
        name="Best checkpoint",
        meta={"series": "best", "value": "accuracy"},
        mode="markers",
        marker={"symbol": "star", "size": 14, "color": "#c9920e", "line": {"width": 1, "color": "#ffffff"}},
        hovertemplate="best %{y:.2%}",
    )


def _document(figure: go.Figure, extra: dict[str, Any], lines: Sequence[str] = CURVES) -> str:
    """Write a figure with both templates; `lines` names the colours of its lines."""
    document = figure.to_plotly_json()
    document["layout"].pop("template", None)
    document["templates"] = {"light": _template(LIGHT, lines), "dark": _template(DARK, lines)}
    return json.dumps({**document, **extra}, cls=PlotlyJSONEncoder, separators=(",", ":"))


def _template(colours: dict[str, Any], lines: Sequence[str]) -> dict[str, Any]:
    axis = {
        "gridcolor": colours["line"], "linecolor": colours["line"], "zerolinecolor": colours["line"],
        "ticks": "", "title": {"font": {"size": 13}}, "tickfont": {"size": 12},
    }  # fmt: skip
    series = [{"line": {"color": colours[name]}, "marker": {"color": colours[name]}} for name in lines]
    scales = [_scale(colours["muted"]), _scale(colours["errors"])]
    return {
        "layout": {
            "font": {"family": FONT, "size": 13, "color": colours["quiet"]},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "hoverlabel": {
                "bgcolor": colours["paper"], "bordercolor": colours["line"], "font": {"color": colours["ink"]},
            },
            "xaxis": axis,
            "yaxis": axis,
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": colours["quiet"], "activecolor": colours["train"]},
        },
        "data": {"scatter": series, "heatmap": [{"colorscale": scale} for scale in scales]},
    }  # fmt: skip


def _scale(colours: Sequence[str]) -> list[list[Any]]:
    return [[index / (len(colours) - 1), colour] for index, colour in enumerate(colours)]
