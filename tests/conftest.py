"""What the tests share: the two engines, as a parameter of a test."""

from __future__ import annotations

import gc
from typing import Any

import pytest

import dualad
import reversead

ENGINES = (dualad, reversead)


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.__name__)
def ad(request: pytest.FixtureRequest) -> Any:
    """Either engine."""
    return request.param


def pytest_collection_finish() -> None:
    """Let the collector of garbage leave alone what the imports of all tests made: some tests call it often."""
    gc.collect()
    gc.freeze()
