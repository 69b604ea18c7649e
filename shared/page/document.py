"""The file of a page: its parts put into the template, and the data for its scripts.

Everything that users have named goes through `html_text`, or into data that its scripts write as text; of the data no
character can end the element that it is in.  The scripts are those of this package, and the page lets no other run
(Content Security Policy, by their hashes).  The template, the style and the script are files beside this one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from itertools import groupby
from typing import Any

from shared.page.folding import Item
from shared.page.orders import Elimination
from shared.page.sources import Block, line_key
from shared.page.sweeps import Sweeps
from shared.page.telling import datum, number
from shared.page.views import View
from shared.programs.equations import Guard
from shared.programs.explaining.graph import output_names
from shared.programs.markup import html_text
from shared.programs.measuring.theorem import FORWARD, REVERSE, DerivativeCosts
from shared.programs.tabulation import html_table

_MARK = re.compile(r"\{\{(\w+)\}\}")
#: What ends an element, or a line where JSON is read as JavaScript.
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&'\u2028\u2029"}


def written(
    title: str,
    sweeps: Sweeps,
    items: Sequence[Item],
    views: Sequence[View],
    blocks: list[Block],
    elimination: Elimination | None,
    chain: Sequence[int],
    costs: DerivativeCosts | None,
) -> str:
    """The whole file."""
    scripts = [_file("costs.js"), _file("page.js")]
    parts = {
        "hash": " ".join(map(_hash, scripts)),
        "title": html_text(title),
        "css": _file("page.css"),
        "lead": _lead(sweeps),
        "folds": _folds(views, items),
        "views": _views(views),
        "source": _source(blocks),
        "table": _table(sweeps, items),
        "inputs": "derivative" if sweeps.inputs == 1 else f"{sweeps.inputs:,} derivatives",
        "costs": _costs(sweeps, costs),
        "orders": _orders(elimination),
        "chain": _chain(chain),
        "data": _json(_data(sweeps, items, views, blocks, elimination, chain)),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    return _MARK.sub(lambda found: parts[found[1]], _file("page.html"))


@cache
def _file(name: str) -> str:
    return resources.files("shared.page").joinpath(name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode()
    return f"'sha256-{digest}'"


def _json(data: Any) -> str:
    """Data as JSON for an element of HTML: in ASCII, without what could end the element.

    >>> print(_json({"name": "</script>&"}))
    {"name":"\\u003c/script\\u003e\\u0026"}
    """
    return json.dumps(data, separators=(",", ":")).translate(_ESCAPES)


# --- data -------------------------------------------------------------------------------------------------------------


def _data(
    sweeps: Sweeps,
    items: Sequence[Item],
    views: Sequence[View],
    blocks: list[Block],
    elimination: Elimination | None,
    chain: Sequence[int],
) -> dict[str, Any]:
    program, names, costs = sweeps.program, sweeps.names, sweeps.costs
    item_of = {k: place for place, item in enumerate(items) for k in item.results}
    shown = [k for k in range(len(program.types)) if k not in program.literals]
    return {
        "steps": sweeps.steps(lambda k: item_of.get(k, -1), lambda where: line_key(blocks, where)),
        "values": {k: datum(sweeps.values[k]) for k in shown},
        "inputs": [*program.inputs, *program.captured],
        "parameters": sweeps.parameters,
        "outputs": program.outputs,
        "varies": [k for k in shown if sweeps.varies[k]],
        "names": {k: [names.name(k), names.tangent_name(k), names.adjoint_name(k)] for k in shown},
        "passes": sweeps.passes,
        "seeds": sweeps.seeds,
        "back": sweeps.back,
        "n": sweeps.inputs,
        "costs": {
            "value": costs.value,
            "tangent": costs.tangent,
            "adjoint": costs.adjoint,
            "forward": costs.forward_bytes,
            "up": costs.up_bytes,
            "down": costs.down_bytes,
        },
        "race": [costs.evaluation, costs.forward, costs.reverse],
        "views": {view.name: view.folded for view in views},
        "orders": {} if elimination is None else {o.name: [s[:2] for s in o.stages] for o in elimination.orders},
        "chain": list(chain),
    }


# --- parts ------------------------------------------------------------------------------------------------------------


def _lead(sweeps: Sweeps) -> str:
    count = len(sweeps.program.equations)
    passes = f"{sweeps.inputs:,} number{'s' * (sweeps.inputs != 1)} vary"
    if sweeps.inputs == 1:
        passes = "1 number varies"
    notes = [f"{names}: {note}" for names, note in _notes(sweeps)]
    text = f"{count} operation{'s' * (count != 1)}; {passes}."
    if sweeps.names.network:
        text += (
            " Named as in the textbooks: weights w, biases b, weighted inputs z, activations a, errors δ = ∂C/∂z, with"
            " the index of the layer above. An example is a row here, so the weights are stored as wᵀ."
        )
    more = f"<details><summary>What is what</summary><p>{html_text('; '.join(notes))}</p></details>" if notes else ""
    return html_text(text) + more


def _notes(sweeps: Sweeps) -> Iterator[tuple[str, str]]:
    for k, note in sweeps.names.notes.items():
        yield sweeps.names.name(k), note


def _folds(views: Sequence[View], items: Sequence[Item]) -> str:
    if len(views) < 2:
        return ""
    buttons = []
    for view in views:
        text = {"fold": "folded", "all": "everything"}.get(view.name)
        if text is None:
            continue
        buttons.append(f'<button type="button" class="fold" data-view="{view.name}">{text}</button>')
    buttons += [
        f'<button type="button" class="fold" data-view="{place}">{html_text(item.title)}</button>'
        for place, item in enumerate(items)
    ]
    return f'<div class="folds" role="group" aria-label="What is opened">{"".join(buttons)}</div>'


def _views(views: Sequence[View]) -> str:
    parts = []
    for place, view in enumerate(views):
        hidden = " hidden" if place else ""
        pictures = [("wide", view.wide), ("narrow", view.narrow)] if view.narrow else [("wide only", view.wide)]
        for width, picture in pictures:
            parts.append(f'<div class="view {width}" data-view="{view.name}"{hidden}>{picture}</div>')
    return "\n".join(parts)


def _source(blocks: Sequence[Block]) -> str:
    if not blocks:
        return '<p class="small">The source is not at hand: it was typed, or its file is gone.</p>'
    parts = []
    for block in blocks:
        lines = "".join(
            f'<li data-line="{block.key}:{block.first + place}" value="{block.first + place}"><code>'
            f"{html_text(line) or ' '}</code></li>"
            for place, line in enumerate(block.lines)
        )
        parts.append(f'<p class="small">{html_text(block.file)}</p><ol class="code">{lines}</ol>')
    return f'<div class="scroll tall" tabindex="0" role="region" aria-label="Source, scrolls">{"".join(parts)}</div>'


_HEAD = (
    '<thead><tr><th scope="col">value</th><th scope="col"></th>'
    '<th scope="col" class="tangent">tangent</th><th scope="col" class="tangent"></th>'
    '<th scope="col" class="adjoint">adjoint</th><th scope="col" class="adjoint"></th></tr></thead>'
)


def _table(sweeps: Sweeps, items: Sequence[Item]) -> str:
    body = []
    seen: set[int] = set()
    for item, part in groupby(_rows(sweeps, items), key=lambda row: row[0]):
        lines = [text for _, text in part]
        if item < 0:
            body.append(f"<tbody>{''.join(lines)}</tbody>")
            continue
        title = items[item].title + (", further on" if item in seen else "")
        seen.add(item)
        count = f"{len(lines)} line{'s' * (len(lines) != 1)}"
        body.append(
            f'<tbody class="folding" data-item="{item}"><tr class="item"><th colspan="6" scope="rowgroup">'
            f'<button type="button" aria-expanded="true">{html_text(title)} <span class="small">{count}</span></button>'
            f"</th></tr>{''.join(lines)}</tbody>"
        )
    program, names = sweeps.program, sweeps.names
    outputs = "".join(
        f'<tr data-v="out{place}" data-out="{k}"><th scope="row">{html_text(path)} = {html_text(names.name(k))}</th>'
        f"{_cells(f'ẏ = {names.tangent_name(k)}', 'ȳ')}</tr>"
        for place, (k, path) in enumerate(zip(program.outputs, output_names(program), strict=True))
    )
    return f"<table>{_HEAD}{''.join(body)}<tbody>{outputs}</tbody></table>"


def _rows(sweeps: Sweeps, items: Sequence[Item]) -> Iterator[tuple[int, str]]:
    """Every row with the item that it is in, -1 of none: leaves, steps and guards; weights come before their item."""
    program = sweeps.program
    item_of = {k: place for place, item in enumerate(items) for k in item.results}
    weights = {k: place for place, item in enumerate(items) for unit in item.inside for k in unit}
    leaves = [*program.inputs, *program.captured]
    yield from ((-1, _row(sweeps, k, "")) for k in leaves if k not in weights)
    started: set[int] = set()
    for step in program.steps:
        item = item_of.get(step.operands[0] if isinstance(step, Guard) else step.result, -1)
        if isinstance(step, Guard):
            yield item, _guard(sweeps, step)
            continue
        if item not in started:
            started.add(item)
            yield from ((item, _row(sweeps, k, "")) for k in leaves if weights.get(k, -2) == item)
        yield item, _row(sweeps, step.result, sweeps.names.formula(step))


def _row(sweeps: Sweeps, k: int, formula: str) -> str:
    names = sweeps.names
    text = names.name(k) + (f" = {formula}" if formula else "")
    if k in names.program.captured:
        text += ", from outside"
    varies = sweeps.varies[k]
    tangent = names.tangent_name(k) if varies else ""
    adjoint = names.adjoint_name(k) if varies else ""
    return f'<tr data-v="{k}"><th scope="row">{html_text(text)}</th>{_cells(tangent, adjoint)}</tr>'


def _guard(sweeps: Sweeps, guard: Guard) -> str:
    """A branch that was taken, or a length that was met: a row that no step is at."""
    what = "has shape" if guard.expected.__class__ is tuple else "is"
    text = f"guard: {sweeps.names.name(guard.operands[0])} {what} {guard.expected}"
    return f'<tr class="guard"><th scope="row" colspan="6">{html_text(text)}</th></tr>'


def _cells(tangent: str, adjoint: str) -> str:
    return (
        f'<td class="value num"></td><td class="tangent name">{html_text(tangent)}</td><td class="tangent num"></td>'
        f'<td class="adjoint name">{html_text(adjoint)}</td><td class="adjoint num"></td>'
    )


def _costs(sweeps: Sweeps, costs: DerivativeCosts | None) -> str:
    if costs is not None:
        return costs.html()
    found, n = sweeps.costs, sweeps.inputs
    value = max(found.evaluation, 1)
    rows = [
        ["value", found.evaluation, 1.0, "1"],
        ["value and gradient, reverse", found.reverse, found.reverse / value, f"{REVERSE}"],
        ["value and direction, forward", found.forward, found.forward / value, f"{FORWARD}"],
        ["value and gradient, forward", n * found.forward, n * found.forward / value, f"{FORWARD * n:,}"],
        ["value and gradient, differences", (n + 1) * found.evaluation, float(n + 1), f"{n + 1:,}"],
    ]
    caption = f"counted, one equation at a time, with respect to {n:,} numbers"
    return html_table(caption, ["derivative", "operations", "evaluations", "bound"], rows)


def _orders(elimination: Elimination | None) -> str:
    if elimination is None:
        return ""
    tabs = "".join(
        f'<button type="button" role="radio" aria-checked="{str(not place).lower()}" data-order="{order.name}">'
        f"{order.name}</button>"
        for place, order in enumerate(elimination.orders)
    )
    stages = "".join(
        f'<div class="stage" data-order="{order.name}" data-stage="{place}" hidden>{picture}</div>'
        for order in elimination.orders
        for place, (_, _, picture) in enumerate(order.stages)
    )
    totals = ", ".join(f"{order.name} {order.stages[-1][1]}" for order in elimination.orders)
    return (
        '<section class="card" aria-labelledby="orders-title"><h2 id="orders-title">Orders of the chain rule</h2>'
        "<p>Each edge is a partial derivative. To eliminate a vertex, multiply every edge into it by every edge out of "
        "it; products that meet are added. What is left between inputs and outputs is the Jacobian. Forward mode "
        "eliminates in the order of the program, reverse mode against it; Markowitz takes what costs least now. "
        f"Multiplications: {html_text(totals)}.</p>"
        f'<div class="controls"><div class="modes" role="radiogroup" aria-label="Order" id="order-tabs">{tabs}</div>'
        '<input type="range" id="order-step" min="0" max="1" value="0" aria-label="Vertices eliminated">'
        '<output id="order-where" for="order-step" aria-live="polite"></output></div>'
        f'<div class="scroll" id="stages">{stages}</div>{_layouts(elimination)}</section>'
    )


def _layouts(elimination: Elimination) -> str:
    """The Jacobian in both layouts, with a word on which is which."""
    jacobian = elimination.jacobian
    if jacobian.size > 24:
        return ""
    rows = [[name, *map(number, row)] for name, row in zip(elimination.outputs, jacobian, strict=True)]
    columns = [[name, *map(number, row)] for name, row in zip(elimination.inputs, jacobian.T, strict=True)]
    numerator = html_table("∂yᵢ/∂xⱼ: outputs down, inputs across", ["", *elimination.inputs], rows)
    denominator = html_table("∂yⱼ/∂xᵢ: inputs down, outputs across", ["", *elimination.outputs], columns)
    return (
        '<details class="layouts" open><summary>The Jacobian, in both layouts</summary>'
        "<p>The <b>numerator layout</b> has a row for each output; <code>jacobian</code> returns it, and "
        "the chain rule is the outer Jacobian times the inner. The <b>denominator layout</b> has a row for each input: "
        "it is the transpose, the inner factor comes first, and a gradient is a column like its argument. For z = W a "
        "the one is W, the other Wᵀ.</p>"
        f'<div class="scroll tables">{numerator}{denominator}</div></details>'
    )


def _sized(size: int, count: int) -> str:
    return f"{size}" if count == 1 else f"{size} ({count} times)"


def _chain(sizes: Sequence[int]) -> str:
    if not sizes:
        return ""
    told = " → ".join(_sized(size, len(list(run))) for size, run in groupby(sizes))
    return (
        '<section class="card" aria-labelledby="chain-title"><h2 id="chain-title">The product of Jacobians</h2>'
        f"<p>One example goes through layers of the sizes {html_text(told)}, and a loss of one number. Layer l has the "
        "Jacobian ∂aˡ/∂aˡ⁻¹, here with a row for each output (the numerator layout; the denominator layout is its "
        "transpose, and the product then runs the other way round: for z = w a they are w and wᵀ). The gradient is the "
        "product of all of them. From the loss, every product is a row times a matrix: n² multiplications a layer. "
        "From the input, a matrix times a matrix: n³.</p>"
        '<div class="controls"><div class="modes" role="radiogroup" aria-label="From which end" id="chain-tabs">'
        '<button type="button" role="radio" aria-checked="true" data-end="loss">from the loss</button>'
        '<button type="button" role="radio" aria-checked="false" data-end="input">from the input</button></div>'
        '<input type="range" id="chain-step" min="0" max="1" value="0" aria-label="Products taken">'
        '<output id="chain-where" for="chain-step" aria-live="polite"></output></div>'
        '<div class="scroll" id="blocks" role="img" aria-label="The Jacobians as blocks"></div>'
        '<p class="option"><label for="chain-n">hidden layers of <output id="chain-count"></output> units</label>'
        '<input type="range" id="chain-n" min="0" max="13" value="0"></p><p id="chain-note"></p></section>'
    )


__all__ = ["written"]
