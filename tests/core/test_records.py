"""Records: what the fast recorders write is what the general one writes, and what people see of them."""

import numpy as np
import pytest

import reversead
from shared.core.edges import Like
from shared.core.primitive import Primitive
from shared.core.records import Records, record_primitive, recorder_of_one, recorders_of_two
from shared.core.registry import REGISTRY
from shared.rules.operators import ARITHMETIC

VALUES = (2.0, np.float64(2.0), np.float32(2.0), np.full(3, 2.0), np.full((2, 3), 2.0), np.full(3, 2.0, np.float32))
ENTRIES = {id(entry): entry for entry in (*REGISTRY.values(), *ARITHMETIC.values()) if isinstance(entry, Primitive)}
OF_ONE = [entry for entry in ENTRIES.values() if entry.elementwise and entry.arguments == 1]
OF_TWO = [entry for entry in ENTRIES.values() if entry.is_binary and not entry.constant] + [ARITHMETIC["matmul"]]


def written(record, *args):
    """The records that are appended to a level of three nodes, the node that they are of, and how many there are."""
    level = Records("a test")
    level.count = 3
    node = record(level, *args)
    return [comparable(item) for item in level.records], node, level.count


def comparable(item):
    if isinstance(item, tuple):
        return [comparable(part) for part in item]
    return repr(item) if isinstance(item, (Like, dict, int)) else id(item)


def evaluated(primitive, *values):
    with np.errstate(all="ignore"):
        return primitive.raw(*values)


@pytest.mark.parametrize("primitive", OF_ONE, ids=lambda entry: entry.name)
def test_recorder_of_one_argument_writes_what_the_general_one_does(primitive):
    for value in (np.float64(0.5), np.full(3, 0.5)):
        out = evaluated(primitive, value)
        fast = written(recorder_of_one(primitive), out, value, 2)
        assert fast == written(record_primitive, primitive, out, (value,), (2,), {})


@pytest.mark.parametrize("primitive", OF_TWO, ids=lambda entry: entry.name)
@pytest.mark.parametrize("case, parents", [(0, (0, -1)), (1, (-1, 2)), (2, (0, 2))])
def test_recorders_of_two_arguments_write_what_the_general_one_does(primitive, case, parents):
    compared, record = 0, recorders_of_two(primitive)[case]
    for x in VALUES:
        for y in VALUES:
            try:
                out = evaluated(primitive, x, y)
            except (TypeError, ValueError):  # axes that do not fit
                continue
            fast = written(record, out, x, y, *[parent for parent in parents if parent >= 0])
            assert fast == written(record_primitive, primitive, out, (x, y), parents, {})
            compared += 1
    assert compared


def test_edges_say_whose_they_are():
    with reversead.Tape() as tape:
        x = tape.variable(np.ones(3))
        np.sum(np.sin(x) * np.arange(6.0).reshape(2, 3))
    assert [repr(edge) for edge in tape.records[::3]] == [
        "<edge Independent>",
        "<edge of sin, argument 0>",
        "<edge of multiply, argument 0>",
        "<edge of sum, argument 0>",
    ]
