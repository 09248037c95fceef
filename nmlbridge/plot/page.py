"""A run on one page: what was run and how, figures, statistics. HTML that stands alone, to be sent to a colleague."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import numpy as np

from .. import analysis
from ..errors import UsageError
from ..graph import Network
from ..results import Results
from .kinds import KINDS, Options, figure
from .spikes import last_time

_MOST_TRACES = 14
_MOST_ROWS = 60  # of a table; the rest is counted
_OF_SPIKES = ("raster", "rates", "rate-distribution", "intervals")
_OF_TRACES = ("traces", "spectrum")
_OF_NETWORK = ("connectivity", "network")
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem;border-bottom:1px solid #ccc}
table{border-collapse:collapse;font-size:.9rem}td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}
th{border-bottom:1px solid #999}td.n,th.n{text-align:right}img{max-width:100%}figure{margin:1rem 0}
figcaption,p.small{color:#555;font-size:.85rem}
"""


def statistics(results: Results) -> list[dict[str, Any]]:
    """For each population: cells, spikes, mean and spread of the rates (Hz), CV, local variation, Fano factor, chi.

    The means are over the cells that have a value; Fano factor and chi are of bins of a fiftieth of the run.
    """
    spikes = results.spikes
    duration = results.provenance.get("duration")
    stop = float(duration) if duration else last_time(spikes, None)
    rows = []
    for name, (_, size) in spikes.populations.items():
        if not size:
            continue
        rates = analysis.rates(spikes, stop, 0.0, name)
        rows.append({
            "population": name, "cells": size, "spikes": len(spikes.of(name)), "rate (Hz)": float(rates.mean()),
            "its spread": float(rates.std()), "CV": _mean(analysis.cv(spikes, stop, 0.0, name)),
            "local variation": _mean(analysis.local_variation(spikes, stop, 0.0, name)),
            "Fano factor": _mean(analysis.fano(spikes, stop / 50, stop, 0.0, name)),
            "synchrony (chi)": analysis.synchrony(spikes, stop / 50, stop, 0.0, name),
        })  # fmt: skip
    return rows


def page(results: Results, network: Network | None = None, title: str = "") -> str:
    """The page as text. All that comes from the model is escaped; figures are PNG within the page."""
    name = title or str(results.provenance.get("model") or "results")
    parts = [f"<h1>{escape(name)}</h1>", f"<p>{escape(_headline(results))}</p>"]
    if network is not None:
        parts += ["<h2>Model</h2>", *_model(network)]
    if results.provenance:
        parts += ["<h2>Provenance</h2>", _table([{"": k, " ": v} for k, v in results.provenance.items()])]
    rows = statistics(results)
    if rows:
        parts += ["<h2>Statistics</h2>", _table(rows)]
        parts.append('<p class="small">Means over cells; Fano factor and chi of bins of a fiftieth of the run.</p>')
    parts += ["<h2>Figures</h2>", *_figures(results, network)]
    if results.phases:
        each = [{"phase": k, "seconds": v["seconds"], "peak MB": v.get("peak_mb")} for k, v in results.phases.items()]
        parts += ["<h2>Cost</h2>", _table(each)]
    notes = [{"severity": n.severity, "code": n.code, "note": n.message} for n in results.report]
    if notes:
        parts += ["<h2>Notes</h2>", _table(notes)]
    head = f'<meta charset="utf-8"><title>{escape(name)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _headline(results: Results) -> str:
    parts = [f"{len(results.spikes)} spikes", f"{len(results.traces)} traces"]
    if duration := results.provenance.get("duration"):
        parts.insert(0, f"{float(duration) * 1e3:g} ms")
    return ", ".join(parts)


def _model(network: Network) -> Iterator[str]:
    each = network.populations.values()
    populations = [{"population": p.id, "component": p.component, "cells": p.size} for p in each]
    projections = [
        {"projection": p.id, "from": p.presynaptic, "to": p.postsynaptic, "kind": p.kind,
         "synapses": ", ".join(p.synapses), "connections": len(p)}
        for p in network.projections
    ]  # fmt: skip
    yield f"<p>{network.size} cells, {sum(len(p) for p in network.projections)} connections</p>"
    yield _table(populations)
    if projections:
        yield _table(projections)


def _figures(results: Results, network: Network | None) -> Iterator[str]:
    wanted: list[tuple[str, Any]] = []
    if len(results.spikes):
        wanted += [(kind, results) for kind in _OF_SPIKES]
    chosen: tuple[str, ...] = ()
    plain = [name for name in results.traces if not name.startswith(("lfp[", "dipole/"))]
    if plain:
        first = results.traces.unit(plain[0])
        chosen = tuple(name for name in plain if results.traces.unit(name) == first)[:_MOST_TRACES]
        wanted += [(kind, results) for kind in _OF_TRACES]
    if "lfp[0]" in results.traces:
        wanted.append(("lfp", results))
    if "dipole/x" in results.traces:
        wanted.append(("dipole", results))
    if network is not None and network.projections:
        wanted.append((_OF_NETWORK[0], network))
    if network is not None and any(p.positions is not None for p in network.populations.values()):
        wanted.append((_OF_NETWORK[1], network))
    for kind, source in wanted:
        caption = escape(KINDS[kind].title)
        try:
            data = _png(figure(kind, source, Options(quantities=chosen if kind in _OF_TRACES else ())))
        except UsageError as error:  # such as unequal steps of time: said, where the figure would be
            yield f'<p class="small">{caption}: {escape(str(error))}</p>'
            continue
        yield f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        yield f"<figcaption>{caption}</figcaption></figure>"
    if not wanted:
        yield "<p>There is nothing to draw: no spikes and no traces.</p>"


def _png(drawn: Any) -> str:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(drawn)
    stream = io.BytesIO()
    drawn.savefig(stream, format="png", dpi=110)
    return base64.b64encode(stream.getvalue()).decode()


def _table(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return ""
    numbers = {key for key in rows[0] if all(isinstance(row[key], (int, float)) for row in rows)}
    mark = {key: ' class="n"' if key in numbers else "" for key in rows[0]}
    text = "<table><tr>" + "".join(f"<th{mark[key]}>{escape(key)}</th>" for key in rows[0]) + "</tr>"
    for row in rows[:_MOST_ROWS]:
        text += "<tr>" + "".join(f"<td{mark[key]}>{escape(_said(value))}</td>" for key, value in row.items()) + "</tr>"
    more = f'<p class="small">and {len(rows) - _MOST_ROWS} more</p>' if len(rows) > _MOST_ROWS else ""
    return text + "</table>" + more


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if np.isfinite(value) else "–"
    return "" if value is None else str(value)


def _mean(values: Any) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
