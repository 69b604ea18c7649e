"""Random programs through every check; and the fuzzer itself, which has to find errors that are planted.

What is drawn goes by seeds, so these are the same programs each time.  `python -m tests.fuzz` runs others.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz import command_line, points, records
from fuzz.blocks import NESTED
from fuzz.checks import CHECKS, outcome
from fuzz.comparison import Failure, assert_close
from fuzz.draft import Draft, namespace
from fuzz.drawing import drawn_program, numbers
from fuzz.expressions import FAMILIES, Unsuitable, filled
from fuzz.programs import Program, Step, literal
from fuzz.running import Found, Tally, failures
from fuzz.shrinking import shrunk

import dualad
import reversead
import shared
from shared.calling.results import stop_gradient
from shared.calling.tree import flatten, tree_map
from shared.core.registry import REGISTRY
from shared.programs.equations import Guard

CHUNKS, PROGRAMS = 10, 120
ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_programs(chunk: int) -> None:
    tally = Tally()
    found = list(failures(range(chunk, PROGRAMS, CHUNKS), tally=tally))
    assert not found, "\n\n".join(str(failure.shrunk()) for failure in found)
    # Of programs that are refused, or of which nothing can be told, nothing is learnt.
    assert tally.share("passed") > 0.6, str(tally)


# --- what is drawn ----------------------------------------------------------------------------------------------------


def test_a_seed_is_one_program_and_its_source_runs_by_itself() -> None:
    for seed in range(40):
        program = drawn_program(seed)
        source = program.source()
        assert source == drawn_program(seed).source()
        scope: dict[str, Any] = {}
        with np.errstate(all="ignore"):
            exec(compile(source, "<pasted>", "exec"), scope)
            assert_close(source, scope["value"], program.function()(*program.values()), 0.0)


def test_programs_are_of_every_kind() -> None:
    """Arguments of every kind, containers outside and inside, branches, loops, selections, writes, single precision."""
    programs = [drawn_program(seed) for seed in range(200)]
    texts = [program.definition() for program in programs]
    leaves = [leaf for program in programs for leaf in flatten(list(program.values()))[0]]
    assert {"single precision", "complex", "branches", "selections", "stop_gradient", "nested", "stale views"} <= {
        feature for program in programs for feature in program.features
    }
    assert {type(leaf) for leaf in leaves} >= {float, int, np.ndarray, np.float64}
    assert {np.ndim(leaf) for leaf in leaves} >= {0, 1, 2, 3}
    assert {np.size(leaf) for leaf in leaves} >= {0, 1, 2}
    assert {type(value) for program in programs for value in program.values()} >= {dict, tuple}
    assert {type(program.function()(*program.values())) for program in programs} >= {dict, tuple, list, np.ndarray}
    for piece in (
        "for i",
        "while ",
        "if ",
        "else:",
        "@shared.checkpoint",
        "def g0",
        "] += ",
        "] = ",
        ".sort(",
        "break",
    ):
        assert any(piece in text for text in texts), piece


@pytest.mark.parametrize("family", [*FAMILIES, "nested"])
def test_every_piece_is_taken_somewhere(family: str) -> None:
    """A misspelt piece would never be noticed: what NumPy refuses is not taken."""
    for piece in [*FAMILIES, "nested"] and (NESTED if family == "nested" else FAMILIES[family]):
        assert any(_taken(piece, seed) for seed in range(400)), piece


def _taken(piece: str, seed: int) -> bool:
    import random

    chance = random.Random(seed)
    shapes = [(2,), (3,), (3, 3), (2, 3), (), (2, 2)]
    dtype = chance.choice(["float64", "float64", "complex128"])
    arguments = {f"a{k}": abs(numbers(chance, chance.choice(shapes), dtype)) for k in range(4)}
    draft = Draft(chance, namespace(arguments, {"c0": numbers(chance, (3,)), "c1": numbers(chance, (2, 3))}), {})
    draft.readable = {name: draft.scope[name] for name in ("a0", "a1", "a2", "a3", "c0", "c1")}
    draft.varied = set(arguments)
    try:
        return draft.assign(filled(piece, draft)) is not None
    except Unsuitable:
        return False


def test_other_arguments_keep_kinds_and_change_numbers() -> None:
    for seed in range(30):
        program = drawn_program(seed)
        own = program.values()
        for other in (points.near(program), points.far(program, seed), points.among(program, points.KINKS, seed)):
            for value, before in zip(flatten(list(other))[0], flatten(list(own))[0], strict=True):
                assert type(value) is type(before)
                assert np.asarray(value).dtype == np.asarray(before).dtype
        layouts = list(points.in_other_layouts(program))
        assert all(literal(list(layout)) == literal(list(own)) for layout in layouts)


# --- planted errors ---------------------------------------------------------------------------------------------------


def first_failure(*checks: str, leaning: str | None = None) -> Found | None:
    """What is found within the bound of this test: the programs that it runs, of one leaning if that is given."""
    for seed in range(PROGRAMS):
        program = drawn_program(seed, leaning)
        for check in checks or CHECKS:
            result = outcome(program, check)
            if result.kind == "failed":
                return Found(seed, check, program, result)
    return None


Plant = Callable[[pytest.MonkeyPatch], None]


def plant_in_edge(function: Any, **changed: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Plant:
    """A primitive of one argument, whose linear map or its transpose is changed."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        edge = REGISTRY[function].edges[0]
        for name, change in changed.items():
            patch.setattr(edge, name, change(getattr(edge, name)))

    return plant


def negated(rule: Callable[..., Any]) -> Callable[..., Any]:
    return lambda t, kept: -rule(t, kept)


def without_second_order(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Right at first order, since what the map is made of is right; but it does not vary."""
    return lambda t, kept: rule(t, stop_gradient(kept))


def plant_in_batch(function: Any) -> Plant:
    """A batch rule that gives the examples in another order."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        primitive = REGISTRY[function]
        batch = primitive.batch

        def wrong(primitive: Any, size: int, batched: Any, values: Any, static: Any) -> Any:
            out = batch(primitive, size, batched, values, static)
            return out if out is NotImplemented else out[::-1]

        patch.setattr(primitive, "batch", wrong)

    return plant


def plant_in_compile(wrong: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Plant:
    return lambda patch: patch.setattr(records, "_compiled", wrong)


class Unguarded:
    """A compiled function that takes one way through the branches, whatever its arguments are."""

    def __init__(self, f: Callable[..., Any]):
        self.f, self.programs = f, dict[Any, Any]()

    def __call__(self, *args: Any) -> Any:
        leaves, structure = flatten(list(args))
        key = repr(structure), tuple((np.shape(leaf), str(np.asarray(leaf).dtype)) for leaf in leaves)
        if key not in self.programs:
            program = shared.trace(self.f, *args)
            program.steps[:] = [step for step in program.steps if not isinstance(step, Guard)]
            self.programs[key] = program
        return self.programs[key](*args)


class Stale(Unguarded):
    """A compiled function that keeps the contents that captured arrays had when it was compiled."""

    def __call__(self, *args: Any) -> Any:
        frozen = self.f
        scope = getattr(frozen, "__globals__", None)
        if scope is None:
            return shared.trace(frozen, *args)(*args)
        if not self.programs:
            self.programs.update({name: np.copy(v) for name, v in scope.items() if isinstance(v, np.ndarray)})
        now = {name: np.copy(scope[name]) for name in self.programs}
        for name, contents in self.programs.items():
            scope[name][...] = contents
        try:
            return frozen(*args)
        finally:
            for name, contents in now.items():
                scope[name][...] = contents


class Shared(Unguarded):
    """A compiled function whose results are the buffers of the next call."""

    def __call__(self, *args: Any) -> Any:
        result = self.f(*args)
        leaves = flatten(result)[0]
        key = tuple((np.shape(leaf), str(np.asarray(leaf).dtype)) for leaf in leaves)
        kept = self.programs.setdefault(key, result)
        for leaf, new in zip(flatten(kept)[0], leaves, strict=True):
            if isinstance(leaf, np.ndarray):
                leaf[...] = new
        return tree_map(lambda leaf, new: leaf if isinstance(leaf, np.ndarray) else new, kept, result)


def plant_in_module(module: Any, name: str, change: Callable[[Any], Any]) -> Plant:
    return lambda patch: patch.setattr(module, name, change(getattr(module, name)))


def forgetting_closures(checkpoint: Any) -> Any:
    """A checkpoint through which the first of several arguments has no derivative."""

    def planted(f: Callable[..., Any]) -> Callable[..., Any]:
        return checkpoint(lambda *args: f(*[stop_gradient(a) if k == 1 else a for k, a in enumerate(args)]))

    return planted


def without_an_entry(sparse: Any) -> Any:
    """A sparse derivative whose first nonzero entry is lost."""

    def planted(f: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        def matrix(*args: Any) -> Any:
            found = sparse(f, **options)(*args)
            found.data[:1] = 0.0
            return found

        return matrix

    return planted


def aliasing(patch: pytest.MonkeyPatch) -> None:
    """np.copy that copies nothing."""
    patch.setattr(REGISTRY[np.copy], "raw", lambda x: x)
    patch.setattr(REGISTRY[np.copy], "evaluate", lambda x: x)


PLANTED: dict[str, tuple[Plant, tuple[str, ...]]] = {
    "a wrong sign": (plant_in_edge(np.sin, push=negated, pull=negated), ("first", "gradient")),
    "a wrong transpose": (plant_in_edge(np.sin, pull=negated), ("first",)),
    "wrong at second order only": (
        plant_in_edge(np.sin, push=without_second_order, pull=without_second_order),
        ("first", "hvp"),
    ),
    "a wrong batch rule": (plant_in_batch(np.cumsum), ("vmap",)),
    "a record without guards": (plant_in_compile(Unguarded), ("compile",)),
    "a stale record": (plant_in_compile(Stale), ("compile",)),
    "results that are overwritten": (plant_in_compile(Shared), ("compile",)),
    "a checkpoint that loses an argument": (
        plant_in_module(shared, "checkpoint", forgetting_closures),
        ("checkpoint",),
    ),
    "a sparse Jacobian without an entry": (plant_in_module(dualad, "sparse_jacobian", without_an_entry), ("sparse",)),
    "a sparse Hessian without an entry": (plant_in_module(reversead, "sparse_hessian", without_an_entry), ("sparse",)),
    "a copy that is none": (aliasing, ("first", "trace")),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_errors_are_found_and_made_small(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, checks = PLANTED[name]
    plant(monkeypatch)
    found = first_failure(*checks)
    assert found is not None
    assert found.check == checks[-1] or len(checks) == 1 or name == "a wrong sign"
    small = found.shrunk()
    assert small.outcome.kind == "failed"
    assert small.program.size <= min(found.program.size, 5), str(small)


def test_a_failure_is_printed_as_a_program_that_runs_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    plant_in_edge(np.sin, push=negated)(monkeypatch)
    found = first_failure("first")
    assert found is not None
    text = str(found.shrunk())
    assert text.startswith(f"seed {found.seed} fails the check 'first': Failure\n")
    assert f"--seed {found.seed} --check first" in text
    assert "  found    " in text
    assert "  expected " in text
    program = "\n".join(line[4:] for line in text.split("the program:\n")[1].splitlines() if line.startswith("    "))
    assert "np.sin(" in program
    exec(compile(program, "<pasted>", "exec"), {})


def test_shrinking_keeps_what_fails_and_nothing_else() -> None:
    """Of a program that assigns, branches and calls, the steps that a property needs remain."""
    program = next(p for p in map(drawn_program, range(200)) if "np.tanh" in p.definition() and len(p.steps) > 8)
    small = shrunk(program, lambda candidate: "np.tanh" in candidate.definition())
    assert "np.tanh" in small.definition()
    assert small.size <= 3
    assert set(small.arguments) <= small.names()
    # A loop that waits for something is not robbed of what it waits for.
    waiting = Program(0, {"a0": np.ones(2)}, {}, (Step("v0 = a0 * 4.0"), Step("while np.sum(v0) > 0.6:",
                      (Step("v0 = v0 * 0.5"),))), "v0")  # fmt: skip
    assert "v0 * 0.5" in shrunk(waiting, lambda candidate: "while" in candidate.definition()).definition()


def test_refusals_that_the_program_gives_no_reason_for_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: Any, **kwargs: Any) -> Any:
        raise shared.StaleViewError("planted")

    monkeypatch.setattr(reversead, "jvp", refused)
    seeds = [seed for seed in range(40) if "stale views" not in drawn_program(seed).features]
    kinds = {outcome(drawn_program(seed), "first").kind for seed in seeds}
    assert "failed" in kinds
    assert "refused" not in kinds


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_runs_from_the_root_of_the_project() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--programs", "2", "--seed", "3", "--check", "gradient"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    assert "passed" in result.stdout


def test_the_command_fails_where_a_program_does(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_in_edge(np.sin, push=negated)(monkeypatch)
    found = first_failure("first")
    assert found is not None
    arguments = ["--programs", "1", "--seed", str(found.seed), "--check", "first"]
    assert command_line.main(arguments) == 1
    assert f"seed {found.seed} fails the check 'first'" in capsys.readouterr().out
    monkeypatch.undo()
    assert command_line.main(arguments) == 0


def test_the_command_shows_programs(capsys: Any) -> None:
    assert command_line.main(["--show", "--programs", "2", "--seed", "5"]) == 0
    assert drawn_program(5).source() + "\n" + drawn_program(6).source() in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--programs", "none"], "not a whole number of at least 1"),
        (["--seed", "-1"], "not a whole number of at least 0"),
        (["--check", "everything"], "invalid choice: 'everything'"),
        (["--unknown"], "unrecognized arguments: --unknown"),
    ],
)
def test_bad_options_are_one_line_and_status_2(arguments: list[str], complaint: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as exit_status:
        command_line.main(arguments)
    assert exit_status.value.code == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_help_names_every_check(capsys: Any) -> None:
    with pytest.raises(SystemExit) as exit_status:
        command_line.main(["--help"])
    assert exit_status.value.code == 0
    text = capsys.readouterr().out
    assert all(check in text for check in CHECKS)


def test_numbers_are_compared_nan_for_nan_and_in_form() -> None:
    nan = np.array([np.nan, np.inf, 1.0])
    assert_close("equal", nan, nan.copy(), 0.0)
    for other in ([np.nan, -np.inf, 1.0], [0.0, np.inf, 1.0], [np.nan, np.inf, 1.1]):
        with pytest.raises(Failure, match="differ"):
            assert_close("differ", np.array(other), nan, 1e-9)
