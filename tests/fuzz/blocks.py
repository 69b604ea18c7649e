"""Steps of several lines: loops, branches on values, functions of their own, checkpoints, transforms inside."""

from __future__ import annotations

import numpy as np

from fuzz import statements
from fuzz.draft import Draft
from fuzz.expressions import Unsuitable, filled
from fuzz.programs import NAME, Step

#: How a name is bound anew, {t} being its value before
REBOUND = [
    "np.sin({t}) * {y}", "{t} * 0.7 + {y} * 0.2", "np.tanh({t} + {y})", "{t} - 0.1 * {t} ** 2", "np.cos({t})",
    "{t} * {c} + 0.1", "{t} / (1.0 + np.sum({t} * {t}))", "np.flip({t}) * 0.9", "np.cumsum({t}) * 0.4",
    "np.where({t} > 0.2, {t}, np.sin({t}))", "np.maximum({t}, {y})", "{t} @ np.eye(len({t})) * 0.8",
]  # fmt: skip
CONDITIONS = [
    "np.sum({x}) > {n}", "np.max({ra}) < {n}", "{v}[0] > {v}[-1]", "np.any({r} > {n})", "np.all({r} < 1.0)",
    "{s} > {n}", "len({a}) > 2", "{k} == 2", "np.sum({r} > 0.0) > 1", "{s} < {s2}", "bool(np.mean({x}) <= 0.3)",
    "{a}.ndim == 2", "np.argmax({v}) == 0", "np.allclose({x}, {x})", "not {s} > 0.4", "0.0 < np.mean({r}) < 0.7",
]  # fmt: skip
#: Loops that fill an array element by element, of an array {a} and what was made like it, {t}
ELEMENTS = [
    "{t}[{i}] = {a}[{i}] * {a}[{i} - 1]", "{t}[{i}] += {a}[-1 - {i}]", "{t}[{i}] = np.sin({a}[{i}]) + {t}[{i} - 1]",
    "{t}[{i}] *= {a}[{i}] if {i} % 2 else 0.5", "{t}[{i}:] += {a}[{i}]", "{t}[{i}] -= {t}[{i} - 1] * {a}[0]",
]  # fmt: skip
NESTED = [
    "dualad.jvp(np.tanh, ({x},), ({b},))[1]",
    "reversead.jvp(lambda z: np.sin(z * {y}), ({x},), ({b},))[1]",
    "reversead.vjp(lambda z: z * {y}, {x})[1]({x} * {y})[0]",
    "dualad.grad(lambda z: np.sum(np.sin(z) * {b}))({x})",
    "reversead.grad(lambda z: np.sum(np.cos(z * {b})))({x})",
    "reversead.hvp(lambda z: np.sum(z ** 3 * {y}), {ra}, {b})",
    "shared.vmap(lambda z: np.sum(z * z))({m})",
    "shared.vmap(lambda z: np.sin(z) * {s})({a})",
    "shared.vmap(reversead.grad(lambda z: np.sum(z ** 3)))({a})",
    "dualad.elementwise_grad(np.arctan)({r})",
    "dualad.derivative(lambda z: z * z * {s})({s})",
    "reversead.jacobian(lambda z: z * z)({v})",
    "reversead.linearize(np.square, {x})[1]({b})",
    "shared.checkpoint(np.tanh)({x})",
    "shared.checkpoint_loop(lambda z, i: z * 0.8 + 0.1 * np.sin(z), {x}, 3, snapshots=1)",
    "shared.checkpoint_loop(lambda z, i: 0.5 * z + {x} * 0.3, {x} * 1.0, 2)",
    "shared.checkpoint(lambda z: (lambda e: e * {x})(np.sin(z)))({x})",
]  # fmt: skip


def nested(draft: Draft) -> bool:
    """A derivative, a batch or a checkpoint inside the program."""
    draft.features.add("nested")
    expression = filled(draft.choose(NESTED), draft)
    if draft.assign(expression) is None:
        return False
    draft.pin(NAME.findall(expression))
    return True


def _rebinding(draft: Draft, name: str, text: str | None = None) -> Step:
    text = draft.choose(REBOUND) if text is None else text
    piece = text.replace("{t}", name)
    shape = np.shape(draft.value(name))

    def fitting() -> str:
        return draft.varying(lambda value: np.shape(value) in (shape, ()))

    return Step(f"{name} = " + filled(piece.replace("{y}", fitting()), draft))


def _carried(draft: Draft) -> str:
    """A variable that may be bound anew."""
    names = [n for n in draft.readable if n in draft.varied and n.startswith("v")]
    names = [n for n in names if n not in draft.stale and n not in draft.pinned]
    if not names:
        raise Unsuitable
    return draft.choose(names[-3:])


def _rebound(draft: Draft, name: str, *steps: Step) -> bool:
    """Take steps that bind a name anew, if its shape and type stay."""
    before = draft.value(name)
    if not draft.take(*steps):
        return False
    after = draft.value(name)
    if np.shape(after) != np.shape(before) or np.asarray(after).dtype != np.asarray(before).dtype:
        del draft.steps[-len(steps) :]
        draft.replay()
        return False
    if after is not before:
        # It no longer shares its memory with anything.
        draft.forget(name)
    return True


def branch(draft: Draft) -> bool:
    name = _carried(draft)
    condition = filled(draft.choose(CONDITIONS), draft)
    step = Step(
        f"if {condition}:", (_rebinding(draft, name),), (_rebinding(draft, name),) if draft.happens(0.6) else ()
    )
    draft.features.add("branches")
    return _rebound(draft, name, step)


def loop(draft: Draft) -> bool:
    name = _carried(draft)
    inner = draft.block()
    for _ in range(draft.choose([0, 1, 2])):
        attempt(inner, draft.choose([statements.expression, statements.creation, statements.write]))
    body = [*inner.steps, _rebinding(inner, name)]
    if draft.happens(0.3):
        condition = filled(draft.choose(CONDITIONS), inner)
        body[-1] = Step(f"if {condition}:", (body[-1],), (_rebinding(inner, name),) if draft.happens(0.5) else ())
        draft.features.add("branches")
    elif draft.happens(0.2):
        body.append(Step(f"if {filled(draft.choose(CONDITIONS), inner)}:", (Step("break"),)))
        draft.features.add("branches")
    bound = draft.choose(["2", "3", "3", "k0" if "k0" in draft.readable else "4"])
    return _rebound(draft, name, Step(f"for {draft.name('i')} in range({bound}):", tuple(body)))


def repeat_until(draft: Draft) -> bool:
    name = _carried(draft)
    draft.features.add("branches")
    # Of infinities a half is no less.
    head = f"while 0.6 < np.sum(np.abs({name})) < 1e6:"
    return _rebound(draft, name, Step(head, (Step(f"{name} = {name} * 0.5"),)))


def elements(draft: Draft) -> bool:
    """A loop that fills an array element by element."""
    source = draft.varying(lambda value: np.ndim(value) == 1)
    target = draft.assign(draft.choose([f"np.zeros_like({source})", f"{source}.copy()", f"{source} * 0.5"]))
    if target is None:
        return False
    number = draft.name("i")
    lines = [draft.choose(ELEMENTS) for _ in range(draft.choose([1, 1, 2]))]
    body = [line.replace("{t}", target).replace("{a}", source).replace("{i}", number) for line in lines]
    draft.note_write(target)
    return draft.take(Step(f"for {number} in range(len({source})):", tuple(map(Step, body))))


def function(draft: Draft) -> bool:
    """A function of its own, called once or twice: plain, checkpointed or mapped."""
    parameters = list(dict.fromkeys(draft.varying(lambda value: True) for _ in range(draft.choose([1, 2]))))
    closed_over = [name for name in draft.readable if draft.happens(0.2) and name not in draft.stale]
    outer = draft.block([*parameters, *closed_over])
    own = {}
    for name in parameters:
        parameter = outer.name()
        own[name] = parameter
        outer.scope[parameter] = outer.readable[parameter] = draft.value(name)
        outer.varied.add(parameter)
        outer.protected.add(parameter)
        if name not in closed_over:
            del outer.readable[name]
            outer.varied.discard(name)
            outer.protected.discard(name)
    scope = dict(outer.scope)
    outer.surroundings = lambda: dict(scope)
    for _ in range(draft.choose([1, 2, 3])):
        attempt(outer, draft.choose([statements.expression] * 3 + [statements.creation, statements.write, branch]))
    if not outer.steps:
        raise Unsuitable
    made = [name for name in outer.readable if name in outer.varied and name not in outer.stale]
    returned = made[-1]
    name, decorator = draft.name("g"), draft.choose(["", "@shared.checkpoint\n", "@shared.checkpoint\n"])
    head = f"{decorator}def {name}({', '.join(own.values())}):"
    made_function = Step(head, tuple(outer.steps), last=f"return {returned}")
    if not draft.take(made_function):
        return False
    draft.pin(made_function.names() & draft.readable.keys())
    if draft.assign(f"{name}({', '.join(own)})") is None:
        del draft.steps[-1:]
        draft.replay()
        return False
    if draft.happens(0.3):
        again = [
            other for other in draft.varied if np.shape(draft.value(other)) == np.shape(draft.value(parameters[0]))
        ]
        draft.assign(f"{name}({', '.join([draft.choose(sorted(again)), *parameters[1:]])})")
    return True


def attempt(draft: Draft, kind: object) -> bool:
    """Add a step of a kind, if what was drawn fits."""
    assert callable(kind)
    try:
        return bool(kind(draft))
    except Unsuitable:
        return False
