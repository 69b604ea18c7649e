"""Both engines are the same module to their users: the same names, signatures and documentation of the cost."""

from __future__ import annotations

import inspect
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

import dualad
import reversead
from shared.calling.engine import Engine

# A type checker verifies here that both modules have the interface.
forward: Engine = dualad
reverse: Engine = reversead

OWN = {"dualad": {"Dual"}, "reversead": {"Tape", "Variable"}}
INTERFACE = sorted(name for name in vars(Engine) if not name.startswith("_"))


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def test_the_interface_is_what_the_design_lists() -> None:
    assert set(INTERFACE) >= {
        "jvp", "vjp", "linearize", "grad", "value_and_grad", "derivative", "elementwise_grad", "jacobian", "hessian",
        "value_and_jacobian", "value_grad_and_hessian", "hvp", "stop_gradient",
    }  # fmt: skip


def test_both_engines_have_the_same_names() -> None:
    names = {engine.__name__: set(engine.__all__) - OWN[engine.__name__] for engine in (dualad, reversead)}
    assert names["dualad"] == names["reversead"] == set(INTERFACE)


def test_all_is_complete_and_sorted(ad: ModuleType) -> None:
    # Submodules are reachable as attributes, too; they are no part of the interface.
    public = {n for n in dir(ad) if not n.startswith("_") and not inspect.ismodule(getattr(ad, n))}
    assert public == set(ad.__all__)
    assert len(ad.__all__) == len(set(ad.__all__))
    assert all(hasattr(ad, name) for name in ad.__all__)


@pytest.mark.parametrize("name", INTERFACE)
def test_signatures_are_equal(name: str) -> None:
    expected = [p for p in parameters(getattr(Engine, name)) if p[0] != "self"]
    assert parameters(getattr(dualad, name)) == expected
    assert parameters(getattr(reversead, name)) == expected


@pytest.mark.parametrize("name", INTERFACE)
def test_docstrings_say_what_it_costs_and_show_it(ad: ModuleType, name: str) -> None:
    text = inspect.getdoc(getattr(ad, name)) or ""
    assert ">>>" in text
    if name != "stop_gradient":
        assert "Cost" in text


def test_public_classes_are_documented() -> None:
    for kind in (dualad.Dual, reversead.Tape, reversead.Variable):
        assert inspect.getdoc(kind)


def test_transforms_keep_the_name_and_text_of_the_function(ad: ModuleType) -> None:
    def energy(x: Any) -> Any:
        """What it computes."""
        return x * x

    for name in (
        "grad", "value_and_grad", "derivative", "elementwise_grad", "jacobian", "value_and_jacobian",
    ):  # fmt: skip
        made = getattr(ad, name)(energy)
        assert made.__name__ == "energy"
        assert made.__doc__ == "What it computes."
        assert made.__wrapped__ is energy


def test_functions_without_a_name_are_taken(ad: ModuleType) -> None:
    from functools import partial

    class Callable_:
        def __call__(self, x: Any) -> Any:
            return x * x

    assert ad.grad(partial(lambda a, x: a * x, 2.0))(3.0) == 2.0
    assert ad.grad(Callable_())(3.0) == 6.0
    assert ad.derivative(abs)(3.0) == 1.0


def test_shared_knows_no_engine_and_the_engines_do_not_know_each_other() -> None:
    for name, others in (("shared", ("dualad", "reversead")), ("dualad", ("reversead",)), ("reversead", ("dualad",))):
        script = f"import sys, {name}; print([m for m in {others!r} if m in sys.modules])"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]", name


def test_nothing_but_numpy_is_imported(ad: ModuleType) -> None:
    script = (
        f"import sys, {ad.__name__}\n"
        "found = {m.split('.')[0] for m in sys.modules} & {'scipy', 'matplotlib', 'rich', 'sklearn', 'pytest'}\n"
        "print(sorted(found))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
