"""The sections of a page about runs."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from jdl.report import _charts as charts
from jdl.report import _svg as svg
from jdl.report import _sweep_charts as sweeps
from jdl.report._found import Found, lower_is_better, summary


def main_metric(run: Found) -> str:
    """The metric that a run is judged by."""
    evaluated = [name for name in run.metrics if name.startswith("evaluate/")]
    return (evaluated or run.metrics)[0]


def _colour(i: int) -> str:
    return f"var(--c{i % svg.COLOURS})"


def _key(label: str, colour: str, style: str = "") -> str:
    return f'<span class="key {style}"><i style="--c:{colour}"></i>{svg.escape(label)}</span>'


def _section(title: str, content: str, note: str = "") -> str:
    note = f'<p class="note">{svg.escape(note)}</p>' if note else ""
    return f"<section><h2>{svg.escape(title)}</h2>{note}{content}</section>" if content else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    line = lambda cells, tag: "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"
    body = "".join(line(row, "td") for row in rows)
    return f'<div class="wide"><table><thead>{line(map(svg.escape, head), "th")}</thead><tbody>{body}</tbody></table></div>'


def _shown(values: np.ndarray) -> str:
    """Mean and interval in HTML."""
    one, alive = summary(values)
    if one is None:
        return '<span class="bad">not finite</span>'
    ends = f' <span class="ends">{svg.number(one.low)} to {svg.number(one.high)}</span>' if np.isfinite(one.low) else ""
    lost = f' <span class="bad">{values.size - alive} of {values.size} not finite</span>' if alive < values.size else ""
    return f"<b>{svg.number(one.mean)}</b>{ends}{lost}"


def results(runs: Sequence[Found]) -> str:
    """The last metrics of every run."""
    names = list(dict.fromkeys(name for run in runs for name in run.metrics if name.count("/") == 1))
    rows = []
    for i, run in enumerate(runs):
        if run.settings:
            continue
        cells = [_shown(run.last(name)) if name in run.metrics else "" for name in names]
        rows.append([_key(run.name, _colour(i)), str(run.last(run.metrics[0]).size), str(len(run.history["epoch"])), *cells])
    several = any(run.last(run.metrics[0]).size > 1 for run in runs)
    note = "After the last epoch. Mean, and 95% interval of the mean over members." if several else "After the last epoch."
    return _section("Results", _table(["run", "members", "epochs", *names], rows), note) if rows else ""


def curves(runs: Sequence[Found], metric: str | None) -> str:
    """A chart for each name without its phase; what is evaluated is drawn through, what is measured in training dashed."""
    drawn: dict[str, list[charts.Curve]] = {}
    keys: dict[str, list[str]] = {}
    for i, run in enumerate(runs):
        if run.settings:
            continue
        for name in run.metrics:
            phase, _, rest = name.partition("/")
            chart, _, part = rest.partition("/")
            colour = _colour(len(drawn.get(chart, ())) if part else i)
            style = "" if phase == "evaluate" or f"evaluate/{rest}" not in run.metrics else "dashed"
            label = " ".join(filter(None, (run.name if len(runs) > 1 else "", part or phase)))
            drawn.setdefault(chart, []).append(charts.Curve(label, run.history["epoch"], run.history[name], colour, style))
            keys.setdefault(chart, []).append(_key(label, colour, style))
    figures = [_figure(name, charts.curves(name, each), "".join(keys[name])) for name, each in drawn.items()]
    several = any(run.history[name].shape[1] > 1 for run in runs if not run.settings for name in run.metrics)
    note = "Means over members; bands reach from the lowest to the highest." if several else ""
    return _section("Curves", _grid(figures), note)


def _figure(title: str, drawing: str, keys: str = "", *, wide: bool = False) -> str:
    legend = f'<div class="keys">{keys}</div>' if keys else ""
    return f'<figure class="{"broad" if wide else ""}"><figcaption>{svg.escape(title)}</figcaption>{legend}{drawing}</figure>'


def _grid(figures: Sequence[str]) -> str:
    return f'<div class="grid">{"".join(figures)}</div>' if figures else ""


def sweep(run: Found, metric: str, most: int = 30) -> str:
    """The views of a sweep."""
    values, lower = run.last(metric), lower_is_better(metric)
    means = charts.mean(values)
    order = np.argsort(np.where(np.isfinite(means), means if lower else -means, np.inf))
    names = [name for name in run.metrics if name.count("/") == 1]
    varied = {name: column for name, column in run.settings.items() if len(set(map(str, column))) > 1}
    shown = lambda i: [svg.escape(svg.number(column[i])) for column in run.settings.values()]
    ranked = [[str(place + 1), *shown(i), *(_shown(run.last(name)[i]) for name in names)] for place, i in enumerate(order[:most])]
    direction = "low" if lower else "high"
    counts = f"{len(means)} settings with {values.shape[1]} seeds each, ranked by {metric} ({direction} is good)"
    more = f'<p class="note">and {len(order) - most} more</p>' if len(order) > most else ""

    figures = [_best(run, metric, varied, order)]
    if len(varied) == 2:
        rows, columns = varied
        drawing = sweeps.heat_map(varied, (rows, columns), means, lower=lower)
        figures.append(_figure(f"{metric}, yellow is best", drawing))
    figures += [_figure(f"{metric} by {name}", sweeps.effect(name, column, values)) for name, column in varied.items()]
    if varied:
        drawing = sweeps.parallel(varied, metric, means, lower=lower)
        figures.append(_figure("all settings, the stronger the colour, the better", drawing, wide=True))
    table = _table(["", *run.settings, *names], ranked)
    return _section(f"Sweep {run.name}", table + more + _grid(figures), f"{counts}. Means over seeds, and 95% intervals.")


def _best(run: Found, metric: str, varied: dict[str, list[Any]], order: np.ndarray, most: int = 5) -> str:
    """The curves of the best settings, and faintly those of all others."""
    x, values = run.history["epoch"], run.history[metric]
    best = [charts.Curve(_setting(varied, i), x, values[:, i], _colour(k)) for k, i in enumerate(order[:most])]
    rest = [charts.Curve(_setting(varied, i), x, charts.mean(values[:, i])[:, None], "var(--faint)", "thin") for i in order[most:]]
    keys = "".join(_key(curve.label, curve.colour) for curve in best)
    return _figure(f"{metric}, the best settings", charts.curves(metric, rest + best), keys)


def _setting(settings: dict[str, list[Any]], i: int) -> str:
    return ", ".join(f"{name} {svg.number(column[i])}" for name, column in settings.items())


def matrices(runs: Sequence[Found]) -> str:
    """Metrics whose value is a square matrix."""
    figures = []
    for run in runs:
        for name, values in run.history.items():
            if "/" in name and values.ndim == 4 and values.shape[2] == values.shape[3] and not run.settings:
                title = f"{name}{', ' + run.name if len(runs) > 1 else ''}{', mean of members' if values.shape[1] > 1 else ''}"
                figures.append(_figure(title, charts.confusion(values[-1].mean(0))))
    return _section("Confusion", _grid(figures), "Colours are shares of a true class.")


def differences(runs: Sequence[Found]) -> str:
    """What differs between the configurations of runs; those that tell none, and sweeps, whose settings are above, are left out."""
    runs = [run for run in runs if not run.settings and _called_with(run).keys() - {"epochs"}]
    flat = [dict(_leaves(_called_with(run))) for run in runs]
    names = list(dict.fromkeys(name for one in flat for name in one))
    differ = [name for name in names if len({one.get(name) for one in flat}) > 1]
    rows = [[f"<code>{svg.escape(name)}</code>", *(svg.escape(one.get(name, "")) for one in flat)] for name in differ[:60]]
    return _section("What differs", _table(["setting", *(run.name for run in runs)], rows)) if rows else ""


def _called_with(run: Found) -> dict[str, Any]:
    """What a run's configuration says; that of `fit`, or of somebody else."""
    config = run.config.get("called with", run.config)
    return config if isinstance(config, dict) else run.config


def _leaves(tree: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(tree, dict | list):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        return [leaf for name, value in items for leaf in _leaves(value, f"{path}/{name}" if path else str(name))]
    return [(path, svg.number(tree))]


def resources(runs: Sequence[Found]) -> str:
    """Time and memory."""
    rows = []
    for i, run in enumerate(runs):
        starts = run.environment.get("starts")
        if not (isinstance(starts, list) and starts and all(isinstance(start, dict) for start in starts)):
            starts = [{}]
        last, ends = starts[-1], [start.get("end", {}) for start in starts]
        seconds, epochs = run.history["seconds"][-1], len(run.history["epoch"])
        compiling = sum(end.get("compile_seconds", 0) for end in ends) or run.history.get("compile_seconds", np.zeros(()))
        most = [max(end.get(name) or 0 for end in ends) for name in ("planned_bytes", "device_peak_bytes", "host_peak_bytes")]
        times = [f"{seconds:.3g} s", f"{seconds / epochs:.3g} s", f"{float(np.sum(compiling)):.3g} s"]
        amounts = [f"{amount / 2**20:.3g} MiB" if amount else "" for amount in most]
        rows.append([_key(run.name, _colour(i)), *times, *amounts, str(len(starts)), svg.escape(last.get("devices", ""))])
    head = ["run", "training", "per epoch", "compiling", "program", "device peak", "host peak", "starts", "devices"]
    return _section("Time and memory", _table(head, rows))


def details(runs: Sequence[Found]) -> str:
    """Configurations and environments, folded."""
    shown = ""
    for run in runs:
        for title, content in (
            ("settings in full", run.labels),
            ("configuration", _called_with(run)),
            ("environment", run.environment),
        ):
            if content:
                written = svg.escape(json.dumps(content, indent=2))
                shown += f"<details><summary>{svg.escape(run.name)}: {title}</summary><pre>{written}</pre></details>"
    return _section("How it was made", shown)
