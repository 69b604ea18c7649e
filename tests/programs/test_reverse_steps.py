"""Stepping the reverse sweep over a recorded program: the adjoints are the engines', and can be seen and changed.

The sweep reads the registry's edges by itself, so it is compared with both engines over every sample of the registry
and over random programs of reads, writes, views and aliases.
"""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from derivative_checks import assert_close, direction
from fuzz.case import Case
from fuzz.drawing import drawn_program
from registry_samples import ONE_SHAPE_AND_BROADCASTS, ONE_SHAPE_COMPLEX, ONE_SHAPE_CONSTANTS

import dualad
import reversead
from shared import StaleViewError, custom_derivative, draw, flatten, rounding_error, trace, unflatten
from shared.calling.results import stop_gradient
from shared.core.errors import LeafTypeError, ProgramGuardError, ShapeError
from shared.programs.explaining.adjoints import ReverseSweep, tangents
from shared.programs.text import text_lines

# --- the same numbers as the engines' ---------------------------------------------------------------------------------


def assert_as_the_engines(function, args):
    """Value, tangent and cotangents of a recorded program, read step by step, against both engines."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = trace(function, *args)
        step = direction(tuple(args), 1)
        out, expected_tangent = dualad.jvp(function, tuple(args), step)
        seed = direction(out, 2)
        values, pushed = tangents(program, *args, direction=step)
        found = [np.zeros(np.shape(values[k])) if pushed[k] is None else pushed[k] for k in program.outputs]
        assert_close("values", [values[k] for k in program.outputs], flatten(out)[0], 1e-13)
        assert_close("tangents", found, flatten(expected_tangent)[0], 1e-12)
        expected = reversead.vjp(function, *args)[1](seed)
        sweep = ReverseSweep(program, *args, cotangent=seed)
        steps = list(sweep)
        gradients = sweep.gradients()
    assert [s.equation for s in steps] == program.equations[::-1]
    assert_close("cotangents", gradients, expected, 1e-12)
    for gradient, argument in zip(flatten(gradients)[0], args, strict=True):
        assert type(gradient) is type(argument)
        assert np.asarray(gradient).dtype == np.asarray(argument).dtype
    for s in steps:
        assert str(s).startswith(f"v{s.equation.result} = ")
        if s.adjoint is not None:
            assert np.shape(s.adjoint) == np.shape(values[s.equation.result])


@pytest.mark.parametrize("sample", [*ONE_SHAPE_AND_BROADCASTS, *ONE_SHAPE_COMPLEX], ids=str)
def test_every_sample_of_the_registry(sample):
    assert_as_the_engines(sample.function, sample.arguments())


@pytest.mark.parametrize("sample", ONE_SHAPE_CONSTANTS, ids=str)
def test_constants_have_no_adjoint(sample):
    args = sample.arguments()
    program = trace(sample.function, *args)
    outputs = program(*args)
    seed = direction(outputs, 2)
    gradients = ReverseSweep(program, *args, cotangent=seed).finish()
    assert all(not np.any(gradient) for gradient in flatten(gradients)[0])


@pytest.mark.parametrize("chunk", range(3))
def test_random_programs_of_reads_and_writes(chunk):
    refused = 0
    for seed in range(chunk, 120, 3):
        case = Case(drawn_program(seed, "writes"))
        if case.is_single:
            continue
        leaves, structure = flatten(list(case.primals))
        of_varying = case.of_varying(case.function)

        def of_leaves(*values, structure=structure, of_varying=of_varying):
            return of_varying(*unflatten(structure, values))

        try:
            assert_as_the_engines(of_leaves, leaves)
        except StaleViewError:
            assert "stale views" in case.features, case.program.source()
            refused += 1
    assert refused < 20


# --- stepping ---------------------------------------------------------------------------------------------------------


def chain(x, y):
    return np.sin(x) * y + 1.0


def test_steps_go_backwards_and_say_what_they_do():
    sweep = ReverseSweep(trace(chain, 0.0, 5.0), 0.0, 5.0)
    formulas = [text for text, _, _ in text_lines(sweep.program)]
    assert [str(step) for step in sweep] == [
        f"{formulas[2]}: adjoint 1 adds 1 to v3",
        f"{formulas[1]}: adjoint 1 adds 5 to v2 and 0 to y",
        f"{formulas[0]}: adjoint 5 adds 5 to x",
    ]
    assert sweep.next_equation is None
    assert sweep.finish() == (5.0, 0.0)
    assert "at the end" in repr(sweep)


def test_arrays_elements_and_assignments_are_told():
    def f(x):
        y = np.zeros_like(x)
        y[1:] = x[1:] * 2.0
        return y[2]

    steps = [str(step) for step in ReverseSweep(f, np.ones(3))]
    assert "adds 1 to v" in steps[0]
    assert steps[0].endswith("[2]")
    assert "adds [0, 1] to v" in steps[1]
    assert "adds [0, 2] to x[1:]" in steps[3]


def test_an_adjoint_that_is_changed_is_what_the_sweep_goes_on_with():
    sweep = ReverseSweep(chain, 0.0, 5.0)
    next(sweep)
    sweep.adjoints["v3"] *= 3.0
    assert sweep.finish() == (15.0, 0.0)


def test_an_array_of_adjoints_can_be_written_to():
    sweep = ReverseSweep(lambda x: np.sum(np.sin(x) + x), np.zeros(3))
    next(sweep)
    sweep.adjoints["v2"][1] = 10.0
    # The sum handed one array on to v1 and to x, of which only v1's is changed.
    next(sweep)
    sweep.adjoints["v1"][0] = 7.0
    (gradient,) = sweep.finish()
    np.testing.assert_array_equal(gradient, [8.0, 20.0, 2.0])


def test_clipping_between_steps_is_clipping_of_the_cotangent():
    x = np.linspace(-2.0, 2.0, 5)
    sweep = ReverseSweep(lambda x: np.sum(np.exp(x) ** 2), x)
    while sweep.next_equation is not None and sweep.next_equation.primitive.name != "exp":
        next(sweep)
    name = f"v{sweep.next_equation.result}"
    sweep.adjoints[name] = np.clip(sweep.adjoints[name], 0.0, 1.0)
    np.testing.assert_allclose(sweep.finish()[0], np.clip(2 * np.exp(x), 0, 1) * np.exp(x), rtol=1e-15)


def test_an_adjoint_that_is_used_up_cannot_be_changed():
    sweep = ReverseSweep(lambda x: np.sum(np.sin(x)), np.ones(3))
    next(sweep)
    step = next(sweep)
    with pytest.raises(ValueError, match=r"has passed v1.*no effect"):
        sweep.adjoints["v1"] = np.ones(3)
    for array in (sweep.adjoints["v1"], step.adjoint, step.contributions[0].value):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_adjoints_start_at_zero_and_masks_have_none():
    program = trace(lambda x: np.sum(np.where(x > 0, x, 0.0)), np.ones(2))
    sweep = ReverseSweep(program, np.ones(2))
    np.testing.assert_array_equal(sweep.adjoints["x"], np.zeros(2))
    masks = [k for k, value in enumerate(sweep.values) if np.asarray(value).dtype.kind == "b"]
    assert masks
    assert all(sweep.adjoints[k] is None for k in masks)
    with pytest.raises(LeafTypeError, match="no adjoint"):
        sweep.adjoints[masks[0]] = np.ones(2)
    with pytest.raises(ShapeError, match=r"has shape \(2,\), not \(3,\)"):
        sweep.adjoints["x"] = np.ones(3)
    with pytest.raises(KeyError, match="no value 'z'"):
        sweep.adjoints["z"]


def test_arguments_and_cotangents_are_not_changed_and_later_changes_not_seen():
    x, cotangent = np.array([1.0, 2.0]), np.array([1.0, 1.0])
    sweep = ReverseSweep(lambda x: x[np.array([0, 0])] * x, x, cotangent=cotangent)
    x[:] = 100.0
    (gradient,) = sweep.finish()
    np.testing.assert_array_equal(gradient, [2.0 + 2.0, 1.0])
    np.testing.assert_array_equal(cotangent, [1.0, 1.0])
    assert not np.shares_memory(gradient, sweep.found[0])


def test_gradients_have_the_structure_of_the_arguments_and_none_where_there_is_no_derivative():
    def f(parameters, labels, name):
        assert name == "mean"
        return np.sum(parameters["w"][labels]) * parameters["b"][0]

    args = ({"w": np.array([1.0, 2.0, 3.0]), "b": (2.0,)}, np.array([0, 2]), "mean")
    gradients = ReverseSweep(f, *args).finish()
    assert flatten(gradients)[1] == flatten(({"w": 0, "b": (0,)}, None, None))[1]
    np.testing.assert_array_equal(gradients[0]["w"], [2.0, 0.0, 2.0])
    assert gradients[0]["b"] == (4.0,)


def test_the_value_is_of_the_program_and_its_stop_gradient():
    values, pushed = tangents(lambda x: stop_gradient(x) * x, 3.0, direction=1.0)
    assert (values[-1], pushed[-1]) == (9.0, 3.0)
    assert ReverseSweep(lambda x: stop_gradient(x) * x, 3.0).finish() == (3.0,)


def test_what_a_step_has_shown_is_not_written_to_by_the_next():
    def f(x):
        y = x * 1.0
        return y[0] * 2.0 + np.sum(y * 3.0)

    sweep = ReverseSweep(f, np.ones(3))
    shown = [(part.value, np.copy(part.value)) for step in sweep for part in step.contributions]
    assert sweep.gradients()[0].tolist() == [5.0, 3.0, 3.0]
    assert all(np.array_equal(value, then) for value, then in shown)


def test_reading_element_by_element_costs_the_elements():
    """A loop that reads every element leaves one array of adjoints, which each step adds to in place."""
    n = 200
    x = np.linspace(0.0, 1.0, n)
    sweep = ReverseSweep(lambda x: sum(x[k] * x[k] for k in range(n)), x)
    arrays = set()
    for _ in sweep:
        if sweep.found[0] is not None:
            arrays.add(id(sweep.found[0]))
    assert len(arrays) == 1
    np.testing.assert_allclose(sweep.gradients()[0], 2 * x)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_an_output_that_is_no_number_needs_a_cotangent():
    with pytest.raises(ShapeError, match=r"array of shape \(2,\).*test_reverse_steps.*cotangent"):
        ReverseSweep(np.sin, np.ones(2))
    with pytest.raises(ShapeError, match="returned 2 values"):
        ReverseSweep(lambda x: (x, 2 * x), 1.0)
    with pytest.raises(ShapeError, match="complex"):
        ReverseSweep(lambda z: z * z, 1.0 + 1j)
    with pytest.raises(ShapeError, match="cotangent has shape"):
        ReverseSweep(np.sin, np.ones(2), cotangent=np.ones(3))


def test_values_of_a_differentiation_in_progress_are_refused():
    for engine in (dualad, reversead):
        with pytest.raises(LeafTypeError, match=r"plain numbers"):
            engine.grad(lambda x: ReverseSweep(np.sin, x).finish()[0])(1.0)


def test_a_function_with_its_own_derivative_is_refused():
    root = custom_derivative(lambda x: np.sqrt(x), jvp=lambda tangents, out, x: tangents[0] / (2 * out))
    with pytest.raises(ProgramGuardError, match="derivative of its own"):
        ReverseSweep(lambda x: root(x) * 2, 4.0)


def test_a_branch_that_goes_another_way_is_refused():
    program = trace(lambda x: x * x if x > 0 else -x, 1.0)
    with pytest.raises(ProgramGuardError, match="branch"):
        ReverseSweep(program, -1.0)


def test_directions_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="one tangent an argument"):
        tangents(chain, 0.0, 5.0, direction=1.0)
    with pytest.raises(ShapeError, match="direction of x has shape"):
        tangents(lambda x: x * 2, np.ones(2), direction=np.ones(3))
    with pytest.raises(ShapeError, match="structure"):
        tangents(lambda p: p[0] * 2, [1.0, 2.0], direction=([1.0],))
    with pytest.raises(LeafTypeError, match="must be None"):
        tangents(lambda x, k: x[k], np.ones(2), np.array([0]), direction=(np.ones(2), np.array([1])))


# --- names ------------------------------------------------------------------------------------------------------------


def test_values_and_adjoints_are_found_by_the_names_that_are_printed():
    sweep = ReverseSweep(lambda x, y: np.sin(x) * y + 2.0, 0.5, 5)
    for step in sweep:
        name = str(step).partition(" = ")[0]
        assert sweep.values[name] is sweep.values[step.equation.result]
        assert sweep.adjoints[name] == 1.0 or name == "v2"
    assert (sweep.values["x"], sweep.values["y"]) == (0.5, 5.0)
    assert sweep.values[0:2] == [0.5, 5.0]
    for missing in ("v9", "z", "v²", "v"):
        with pytest.raises(KeyError, match=r"has no value .*values are v0 to v5, and by name 'x', 'y'"):
            sweep.values[missing]
    for missing in (1.5, None, -1, True):
        with pytest.raises(KeyError, match="has no value"):
            sweep.adjoints[missing]
    with pytest.raises(KeyError, match=r"trace_table.* are numbered otherwise"):
        sweep.values["v₁"]


def test_a_sweep_shows_its_values_adjoints_and_contributions():
    sweep = ReverseSweep(lambda x: np.sin(x) * 2.0, 0.0)
    assert repr(next(sweep).contributions) == "(<2 to v1>,)"
    assert repr(sweep.values) == "<values of <lambda>:\n  x = 0\n  v1 = 0\n  v3 = 0>"
    assert repr(sweep.adjoints) == "<adjoints of <lambda>:\n  x = 0\n  v1 = 2\n  v3 = 1>"
    long = ReverseSweep(lambda x: sum([x * 1.0] * 100), 1.0)
    assert re.search(r"and \d+ more>$", repr(long.values))


def test_errors_name_the_function_that_was_called():
    for name, function in (("ReverseSweep", ReverseSweep), ("rounding_error", rounding_error)):
        for f, args in ((lambda x: (x, x), (1.0,)), (np.sin, (np.ones(2),)), (lambda x: x[0], (np.arange(2),))):
            with pytest.raises((TypeError, ValueError), match=f"^{name}: "):
                function(f, *args)
    with pytest.raises(ShapeError, match=r"^draw: "):
        draw(trace(np.sin, np.ones(2)), np.ones(2), adjoints=True)
    with pytest.raises(ShapeError, match=r"^tangents: "):
        tangents(np.sin, 1.0, direction=(1.0, 2.0))


def test_integers_are_numbers_to_differentiate_by():
    def f(x, y):
        return x * y + np.sin(x)

    assert ReverseSweep(f, 2, 5.0).finish() == reversead.grad(f, argnums=(0, 1))(2, 5.0)
    assert rounding_error(f, 2, 5).bound == rounding_error(f, 2.0, 5.0).bound > 0
    assert tangents(f, 2, 5, direction=(1, 0))[1] == tangents(f, 2.0, 5.0, direction=(1.0, 0.0))[1]
