"""What the tests share: the two engines, as a parameter of a test, and NumPy's name in the doctests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualad
import reversead

ENGINES = (dualad, reversead)


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.__name__)
def ad(request: pytest.FixtureRequest) -> Any:
    """Either engine."""
    return request.param


@pytest.fixture(autouse=True)
def _numpy_in_doctests(doctest_namespace: dict[str, Any]) -> None:
    doctest_namespace["np"] = np
