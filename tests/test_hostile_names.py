"""Names that look like markup, code or further lines: in every output they are text, and legible.

Every name is given to everything that users can name, and what results is read by the parsers of `reading_markup`.  A
document has to consist of the same parts as that of a harmless name, and its text has to show the name, or the escapes
that Python's `repr` would write for it.
"""

from __future__ import annotations

import functools
import pickle
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hostile_names import (
    NAMES,
    PLACES,
    Key,
    called,
    class_name,
    harmless,
    in_file,
    member_of,
    named_function,
    of_container,
    visible,
    with_primitive,
)
from hypothesis import given
from hypothesis import strategies as st
from reading_markup import READERS, Document, read_page

import dualad
import reversead
import shared
from shared import (
    REGISTRY,
    LinearGraph,
    ReverseSweep,
    check_grads,
    compile,
    cost,
    custom_derivative,
    derivative_costs,
    diagnose,
    draw,
    elementwise,
    elimination_orders,
    flatten,
    rounding_error,
    simplify,
    trace,
    trace_table,
    unflatten,
    vmap,
)
from shared.comparison import memory
from shared.core.visible import one_line
from shared.programs import markup, tangents
from shared.programs.tabulation import html_table, latex_tabular, markdown_table, text_table
from shared.programs.text import text_lines


@pytest.fixture(autouse=True)
def _without_own_primitives() -> Iterator[None]:
    known = set(REGISTRY)
    yield
    for function in set(REGISTRY) - known:
        del REGISTRY[function]


def documents(f: Any, args: tuple[Any, ...]) -> Iterator[tuple[str, str, str]]:
    """Everything that explains a function: what it is, its language, and its text."""
    program = trace(f, *args)
    for found in (program, simplify(program)):
        yield "listing", "plain", str(found)
        yield "repr", "plain", repr(found)
        yield "program", "html", found._repr_html_()
        yield from (("line", "plain", part) for line in text_lines(found) for part in line)
        yield from (("equation", "plain", repr(step)) for step in found.steps)
    yield "structure", "plain", f"{program.structure!r} {program.out_structure!r}"
    tables: list[tuple[str, Any]] = [("cost", cost(f, *args)), ("cost of a program", cost(program))]
    drawings = [draw(program, fold=False), draw(program, direction="down")]
    if not program.out_structure.children:
        leaves, structure = flatten(list(args))
        direction = unflatten(structure, [1.0 if isinstance(leaf, float) else None for leaf in leaves])
        sweep = ReverseSweep(f, *args)
        for step in sweep:
            yield "step", "plain", f"{step!r} {step} {step.contributions}"
            yield "sweep", "plain", repr(sweep)
            yield "sweep", "html", sweep._repr_html_()
        yield "adjoints", "plain", repr(sweep.adjoints)
        yield "values", "plain", repr(sweep.values)
        error = rounding_error(f, *args)
        yield "rounding", "plain", str(error)
        yield "rounding", "html", error._repr_html_()
        yield "diagnosis", "html", diagnose(f, *args)._repr_html_()
        yield from (("rounding of a line", "plain", repr(line)) for line in error.lines)
        drawings += [draw(program, *args), draw(program, *args, gates=True)]
        found_trace = trace_table(
            f, *args, direction=direction, columns=("primal", "tangent", "adjoint", "gate", "rounding")
        )
        yield from (("trace of a line", "plain", f"{line!r} {line.contributions}") for line in found_trace.lines)
        tables += [("trace", found_trace), ("part of a trace", trace_table(program, *args, max_lines=3))]
        tables += [("elimination", elimination_orders(f, *args))]
        tables += [("derivatives", derivative_costs(f, *args, forward=dualad, reverse=reversead))]
        kept = memory(f, *args, engines=(dualad, reversead))
        tables += [("memory", kept), ("kept by line", kept.lines())]
    for what, table in tables:
        yield what, "plain", str(table)
        yield what, "markdown", table.markdown()
        yield what, "html", table._repr_html_()
        yield what, "latex", table.latex()
    for drawing in drawings:
        yield "drawing", "dot", drawing.dot
        yield "bundle", "plain", drawing._repr_mimebundle_()["text/plain"]


def read(language: str, text: str) -> Document:
    document = READERS[language](text)
    return Document(document.parts, _alike(document.text) if language == "latex" else document.text)


def _alike(text: str) -> str:
    """What LaTeX shows of text: it has escapes for most letters, and tells fewer quotation marks apart."""
    quotes = text.replace("`", "'").replace('"', "''").replace("...", "…")
    return "".join(c if c.isascii() else c.encode("unicode_escape").decode() for c in quotes)


def shows(language: str, text: str, said: str) -> bool:
    """Whether a text shows what is to be read, or both of its ends if that is long."""
    said = _alike(said) if language == "latex" else said.strip() if language == "markdown" else said
    return said in text or (
        len(said) > 30
        and all(end in text for end in (said[:12], said[-12:], _alike("…") if language == "latex" else "…"))
    )


@functools.cache
def expected_parts(place: str, name: str) -> list[list[Any]]:
    """What documents consist of, for a harmless name."""
    f, args, _ = PLACES[place](name)
    return [read(language, text).parts for _, language, text in documents(f, args)]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("place", PLACES)
def test_names_stay_text(place: str, name: str) -> None:
    f, args, said = PLACES[place](name)
    shown: dict[str, bool] = {}
    for (what, language, text), parts in zip(documents(f, args), expected_parts(place, harmless(name)), strict=True):
        document = read(language, text)
        assert document.parts == parts, f"{what} in {language}:\n{text[:2000]}"
        text.encode("utf-8")
        shown[language] = shown.get(language, False) or any(shows(language, document.text, part) for part in said)
    assert all(shown.values()) or not said, (said, shown)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_keywords_stay_text(name: str) -> None:
    def f(x: Any, **options: Any) -> Any:
        return x * next(iter(options.values()))

    program = trace(f, 2.0, **{name: 3.0})
    said = name if name.isidentifier() else f"kwargs[{name!r}]"
    assert f"f(x: float, {said}: float)" in str(program)
    assert str(cost(f, 2.0, **{name: 3.0})).startswith("f: 1 operations")
    for language, text in (("plain", str(program)), ("dot", draw(program).dot)):
        assert shows(language, read(language, text).text, said)
    # It is a parameter by the name that the user knows, and by that alone.
    drawings = [draw(program, argnums=argnums).dot for argnums in (name, "x", [0, name])]
    assert len(set(drawings)) == 3
    assert drawings[2] == draw(program).dot
    if not name.isidentifier():
        with pytest.raises(ValueError, match="names no argument"):
            draw(program, argnums="kwargs")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_vertices_of_a_graph_made_by_hand_stay_text(name: str) -> None:
    def table(vertex: Any) -> Any:
        return elimination_orders(LinearGraph({("x", vertex): 2.0, (vertex, "y"): 3.0}, ["x"], ["y"]))

    for vertex in (name, Key(name)):
        found, expected = table(vertex), table("name")
        assert [found.jacobian(order).item() for order in found] == [6.0] * 4
        for language in ("plain", "markdown", "html", "latex"):
            written = str if language == "plain" else lambda table, language=language: getattr(table, language)()
            document = read(language, written(found))
            assert document.parts == read(language, written(expected)).parts
            assert shows(language, document.text, visible(name))


@pytest.mark.parametrize("number_format", ["|<12.3f", "<<12", "\n>12", "$^12", "_>12.1e", "\\>12", "\ud800>12", "⟨>12"])
def test_what_numbers_are_filled_with_stays_text(number_format: str) -> None:
    f = named_function("f")
    table, expected = (trace_table(f, 2.0, direction=1.0, number_format=text) for text in (number_format, "x>12"))
    for language in ("plain", "markdown", "html", "latex"):
        texts = [str(t) if language == "plain" else getattr(t, language)() for t in (table, expected)]
        assert read(language, texts[0]).parts == read(language, texts[1]).parts


def test_what_a_value_is_called_in_print_is_what_it_is_found_by() -> None:
    for name in NAMES.values():
        f, args, _ = PLACES["a key"](name)
        sweep = ReverseSweep(f, *args)
        (path, _) = sweep.program.names.values()
        assert f"{path}: float" in str(sweep.program)
        assert sweep.values[path] == 1.5
        assert trace_table(f, *args)[path].value == 1.5


# --- names are not what tells values apart ----------------------------------------------------------------------------


def test_an_argument_that_is_called_as_a_value_is_another_vertex() -> None:
    """Vertices were told apart by what is printed, so v2 had an edge to itself, and all was refused."""

    def f(v2: Any, x: Any) -> Any:
        y = np.sin(v2 * x)
        return y * x, y

    expected = dualad.jacobian(f, argnums=(0, 1))(0.5, 3.0)
    found = elimination_orders(f, 0.5, 3.0)
    for name in found:
        np.testing.assert_allclose(found.jacobian(name), expected, rtol=1e-14)
    assert found.graph.inputs == ["v2", "x"]
    assert "v2'" in found.graph.intermediate


def test_keys_that_print_alike_are_told_apart_or_refused() -> None:
    """Two keys of one repr were one vertex, which was refused; and by its name the first of two was found, unsaid."""

    def f(p: Any) -> Any:
        x, y = p.values()
        return np.sin(x) * y**2

    p = {Key("k"): 0.5, Key("k"): 3.0}
    expected = [*reversead.grad(f)(p).values()]
    found = elimination_orders(f, p)
    for name in found:
        np.testing.assert_allclose(found.jacobian(name), [expected], rtol=1e-14)
    sweep = ReverseSweep(f, p)
    table = trace_table(f, p)
    for named in (sweep.values, sweep.adjoints, table):
        with pytest.raises(KeyError, match=r"several .* that print as"):
            named["p[k]"]
    assert [sweep.values[k] for k in (0, 1)] == [table["v-1"].value, table["v0"].value] == [0.5, 3.0]


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_drawing_is_saved_whatever_is_in_it(tmp_path: Path) -> None:
    for k, name in enumerate(NAMES.values()):
        drawing = draw(trace(of_container, {name: 1.5}, 2.0))
        assert drawing.save(tmp_path / f"{k}.dot").read_text(encoding="utf-8") == drawing.dot


#: A connector, and the path of its edge.
CONNECTOR = {
    ("{http://www.w3.org/2000/svg}g", "class", "data-v"),
    ("{http://www.w3.org/2000/svg}path", "class", "d", "data-v"),
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_pictures_show_names_as_text(name: str, tmp_path: Path) -> None:
    for place in ("a key", "a key that prints itself", "a function", "a primitive", "a keyword's value"):
        f, args, said = PLACES[place](name)
        g, others, _ = PLACES[place](harmless(name))
        drawing, expected = draw(trace(f, *args), *args), draw(trace(g, *others), *others)
        document = read("svg", drawing.save(tmp_path / "picture.svg").read_text(encoding="utf-8"))
        # How many connectors there are depends on how wide the names are.
        assert set(document.parts) <= set(read("svg", expected.svg).parts) | CONNECTOR
        assert any(shows("svg", document.text, part) for part in said), place


# --- pages ------------------------------------------------------------------------------------------------------------


@functools.cache
def page_of(name: str) -> Document:
    """What is read off a page of a function and of a primitive of this name, and of an argument with a key of it."""
    inner = with_primitive(name)

    def f(p: Any, x: Any) -> Any:
        return inner(p[name]) * np.sin(x)

    f.__name__ = f.__qualname__ = name
    return read_page(shared.page(f, {name: 1.5}, 2.0).html())


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_page_shows_names_as_text(name: str) -> None:
    document = page_of(name)
    assert document.parts == page_of(harmless(name)).parts
    for said in (visible(name), visible(repr(name)), called(name)):
        assert shows("html", document.text, said), said


# --- errors, notes and reprs ------------------------------------------------------------------------------------------


def refusals(name: str) -> dict[str, Callable[[], Any]]:
    """What is refused, of something that has a name."""
    f, primitive, member = named_function(name), with_primitive(name), member_of(name)
    key = Key(name)
    own = custom_derivative(f, jvp=lambda tangents, out, x: tangents)
    stranger = type(class_name(name), (), {})()
    program = trace(of_container, {key: 1.5}, 2.0)
    vertex = LinearGraph({("x", key): 1.0, (key, "y"): 1.0}, ["x"], ["y"])
    sweep = ReverseSweep(of_container, {key: 1.5}, 2.0)
    return {
        "another type": lambda: program({key: np.ones(2)}, 2.0),
        "another structure": lambda: program([1.5], 2.0),
        "another string": lambda: trace(lambda x, mode: x, 1.0, name)(1.0, "other"),
        "another member": lambda: trace(lambda x, mode: x, 1.0, member)(1.0, "other"),
        "another branch": lambda: trace(f, 1.0)(-1.0),
        "another branch in a file": lambda: trace(in_file(name), 1.0)(-1.0),
        "no function to trace": lambda: cost(member),
        "no function to explain": lambda: trace_table(member, 1.0),
        "no function to count": lambda: derivative_costs(member, 1.0, forward=dualad, reverse=reversead),
        "no function to eliminate": lambda: elimination_orders(member, 1.0),
        "no function to differentiate": lambda: reversead.grad(member),
        "no number": lambda: reversead.grad(f)(stranger),
        "no number in an operation": lambda: reversead.grad(lambda x: np.sin(x) + np.add(x, member))(1.0),
        "no scalar": lambda: trace_table(with_primitive(name), np.ones(2)),
        "no executor": lambda: reversead.jacobian(f, executor=key)(np.ones(2)),
        "no argument": lambda: reversead.grad(f, argnums=name)(1.0),
        "no argument to draw": lambda: draw(program, argnums=name),
        "no primitive": lambda: cost(primitive, 1.0)["other"],
        "no line": lambda: trace_table(primitive, 1.0)["other"],
        "no value": lambda: sweep.values["other"],
        "no structure": lambda: tangents(of_container, {key: 1.5}, 2.0, direction=(1.0, key)),
        "no rule": lambda: reversead.grad(lambda x: np.frompyfunc(f, 1, 1)(x))(np.ones(2)),
        "no derivative of a program": lambda: reversead.grad(trace(lambda x: own(x), 1.0))(1.0),
        "no rules": lambda: custom_derivative(f),
        "no fitting rule": lambda: reversead.grad(custom_derivative(f, vjp=lambda c, out, x: key))(1.0),
        "no vertex": lambda: LinearGraph({("x", key): 1.0}, ["x"], ["y"]),
        "no order": lambda: vertex.cost_of(["x"]),
        "no cycle": lambda: LinearGraph({("x", key): 1.0, (key, "z"): 1.0, ("z", key): 1.0, ("z", "y"): 1.0}, "x", "y"),
        "no program of numbers": lambda: elimination_orders(primitive, np.ones(2)),
        "no pickle": lambda: pickle.dumps(trace(primitive, 1.0)),
        "declared twice": lambda: [elementwise(f, 1) for _ in range(2)],
        "too large a graph": lambda: draw(trace(f, 1.0), limit=1),
        "no name of it": lambda: compile(f).source(),
        "raised inside": lambda: trace(refusing(name), 1.0)(2.0),
        "not the same again": lambda: reversead.grad(reversead.checkpoint(changing(name)))(1.0),
    }


def refusing(name: str) -> Callable[..., Any]:
    def first(x: Any) -> Any:
        if x != 1.0:
            raise ValueError("not the first")
        return x

    first.__name__ = name
    return elementwise(first, 1)


def changing(name: str) -> Callable[..., Any]:
    results = iter([lambda x: x * x, lambda x: {name: x * x}])
    f = lambda x: next(results)(x)  # noqa: E731 - its name is set
    f.__name__ = name
    return f


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_errors_and_their_notes_are_on_one_line(name: str) -> None:
    for what, refused in refusals(name).items():
        with pytest.raises(Exception) as caught:
            refused()
        for text in (str(caught.value), *getattr(caught.value, "__notes__", ())):
            assert text.isprintable(), (what, text)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_the_checks_of_gradients_print_names_on_one_line(name: str) -> None:
    engine: Any = SimpleNamespace(__name__=name, jvp=reversead.jvp, vjp=reversead.vjp)
    report = check_grads(of_container, {name: 1.5}, 2.0, engines=(engine,), order=1)
    assert len(read("plain", repr(report)).parts) == 1 + len(report.comparisons) + bool(report.skipped)
    rows = [part for part in read("html", report._repr_html_()).parts if part == ("tr",)]
    assert len(rows) == 1 + len(report.comparisons) + bool(report.skipped)

    def wrong(f: Any, *primals: Any) -> Any:
        out, pullback = reversead.vjp(f, *primals)
        return out, lambda c: tuple(2.0 * part for part in pullback(c))

    engine.vjp = wrong
    for key in (name, Key(name)):
        with pytest.raises(AssertionError) as caught:
            check_grads(of_container, {key: 1.5}, 2.0, engines=(engine,), order=1)
        assert len(read("plain", str(caught.value)).parts) == 5
        assert caught.value.path in (f"args[0][{visible(repr(key))}]", "args[1]")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_what_is_made_of_a_function_prints_its_name_on_one_line(name: str) -> None:
    f = named_function(name)
    own = custom_derivative(f, jvp=lambda tangents, out, x: tangents)
    with_primitive(name)
    mine = [entry for function, entry in REGISTRY.items() if getattr(function, "__qualname__", None) == name]
    for made in (reversead.grad(f), dualad.jacobian(f), vmap(f), own, *mine):
        assert visible(name) in repr(made)
        assert repr(made).isprintable()
    assert len(mine) == 1


# --- the languages, for any text --------------------------------------------------------------------------------------

#: The smallest documents that hold a text, by language.
HELD: dict[str, list[Callable[[str], str]]] = {
    "plain": [lambda text: text_table(["a", "b"], [[text, text]]), one_line],
    "html": [lambda text: html_table(text, ["a", text], [[text, "b"]])],
    "svg": [lambda text: f'<text title="{markup.html_text(text)}">{markup.html_text(text)}</text>'],
    "markdown": [lambda text: markdown_table(f"x{text}", ["a", "b"], [[text, text]])],
    "dot": [lambda text: f"v1 [label=<{markup.dot_label(text)}>, tooltip={markup.dot_string(text)}]"],
    "latex": [
        lambda text: latex_tabular(markup.latex_text(text), "ll", ["a", "b"], [[markup.latex_text(text), "b"]]),
        lambda text: latex_tabular("f", "ll", ["a", "b"], [["a", f"${markup.latex_name(text)}$"]]),
    ],
}


@pytest.mark.parametrize("language", HELD)
@given(text=st.text(max_size=30) | st.text(alphabet="[]()<>`*_~|\\&#;!:/@$^{}%\"'-=.+ wht1\n", max_size=30))
def test_any_text_stays_text(language: str, text: str) -> None:
    for held in HELD[language]:
        document, expected = read(language, held(text)), read(language, held("name"))
        assert document.parts == expected.parts
        seen = " ".join(document.text.split())
        assert " ".join((_alike(visible(text)) if language == "latex" else visible(text)).split()) in seen


# --- the readers notice -----------------------------------------------------------------------------------------------

#: What a name does where nothing escapes it.
PLANTED: dict[str, tuple[Callable[[str], str], str]] = {
    "plain": (
        lambda text: f"f(x)\n  v1 = {text}(x)",
        "line separators NUL escape C1 bell override isolate joiners surrogate",
    ),
    "html": (
        lambda text: f'<table><caption title="{text}">{text}</caption></table>',
        "script element attribute entities comment CDATA instruction brackets",
    ),
    "svg": (
        lambda text: f'<svg title="{text}">{text}</svg>',
        "script element attribute entities comment CDATA escape NUL",
    ),
    "markdown": (
        lambda text: f"**f(x)**\n\n| {text} | b |\n| --- | --- |\n| {text} | c |",
        "script link image address brackets mail mention code emphasis struck cells row entities line",
    ),
    "dot": (
        lambda text: f'v1 [label=<{text}>, tooltip="{text}"];',
        "element node label objects backslash entities",
    ),
    "latex": (
        lambda text: f"\\begin{{tabular}}{{l}}\n{text} \\\\\n\\hline\n{text} \\\\\n\\end{{tabular}}",
        "input write codes signs length star spaced end brace open Greek others accents formula",
    ),
}


@pytest.mark.parametrize(
    ("language", "name"), [(which, name) for which, (_, names) in PLANTED.items() for name in names.split()]
)
def test_the_readers_notice_what_nothing_has_escaped(language: str, name: str) -> None:
    plant = PLANTED[language][0]
    expected = read(language, plant("name"))
    assert "name" in expected.text
    try:
        found = read(language, plant(NAMES[name]))
    except (AssertionError, ElementTree.ParseError):
        return
    assert found.parts != expected.parts or visible(NAMES[name]) not in found.text
