"""Nested containers: taken apart and put together again, whatever they nest."""

from __future__ import annotations

from collections import Counter, namedtuple
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.calling.tree import flatten, tree_map, unflatten
from shared.core.errors import ShapeError


class Layer(NamedTuple):
    weights: Any
    biases: Any


Pair = namedtuple("Pair", "first second")

leaves = st.integers() | st.floats(allow_nan=False) | st.text(max_size=2)
trees = st.recursive(
    leaves | st.none(),
    lambda children: (
        st.lists(children, max_size=4)
        | st.lists(children, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=2), children, max_size=4)
        | st.dictionaries(st.integers(), children, max_size=4)
        | st.tuples(children, children).map(lambda pair: Layer(*pair))
        | st.tuples(children, children).map(lambda pair: Pair(*pair))
    ),
    max_leaves=20,
)


def same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@given(trees)
def test_unflatten_undoes_flatten(tree: Any) -> None:
    found, structure = flatten(tree)
    assert same(unflatten(structure, found), tree)
    assert not any(leaf is None or isinstance(leaf, (list, tuple, dict)) for leaf in found)


@given(trees)
def test_structures_compare_by_how_they_nest(tree: Any) -> None:
    _, structure = flatten(tree)
    again = flatten(tree_map(lambda leaf: 0, tree))[1]
    assert structure == again
    assert hash(structure) == hash(again)
    assert flatten([tree])[1] != structure
    assert repr(structure)


@given(trees, trees)
def test_different_trees_have_different_structures(a: Any, b: Any) -> None:
    a, b = (tree_map(lambda leaf: 0, tree) for tree in (a, b))
    assert (flatten(a)[1] == flatten(b)[1]) == same(a, b)


def test_leaves_come_depth_first_and_keys_in_order() -> None:
    assert flatten({"b": [1, (2, 3)], "a": Layer(4, {"z": 5, "y": None})})[0] == [4, 5, 1, 2, 3]


def test_order_of_insertion_does_not_matter() -> None:
    assert flatten({"a": 1, "b": 2})[1] == flatten({"b": 2, "a": 1})[1]
    assert flatten({"b": 2, "a": 1})[0] == [1, 2]


def test_keys_of_mixed_types_that_cannot_be_sorted() -> None:
    tree = {"a": 1, 2: 3, None: 4}
    assert unflatten(flatten(tree)[1], flatten(tree)[0]) == tree


def test_insertion_order_of_keys_that_cannot_be_sorted_does_not_mix_up_leaves() -> None:
    first, second = {"a": 1, 2: 3}, {2: 3, "a": 1}
    try:
        total = tree_map(lambda a, b: a == b, first, second)
    except ShapeError:
        return
    assert total == {"a": True, 2: True}


def test_what_is_a_leaf() -> None:
    for leaf in (1.0, np.ones(3), "text", {1, 2}, range(3), object(), np.float32(1)):
        assert flatten(leaf)[0] == [leaf] if not isinstance(leaf, np.ndarray) else flatten(leaf)[0][0] is leaf


@pytest.mark.parametrize("empty", [[], (), {}, None, [[], None, {}]])
def test_empty_containers_have_no_leaves(empty: Any) -> None:
    found, structure = flatten(empty)
    assert found == []
    assert same(unflatten(structure, []), empty)


def test_empty_containers_of_different_kinds_differ() -> None:
    structures = [flatten(tree)[1] for tree in ([], (), {}, None)]
    assert all((a == b) == (i == j) for i, a in enumerate(structures) for j, b in enumerate(structures))


def test_named_tuples_of_different_classes_differ() -> None:
    assert flatten(Layer(1, 2))[1] != flatten(Pair(1, 2))[1]
    assert flatten(Layer(1, 2))[1] != flatten((1, 2))[1]


def test_other_containers_are_refused() -> None:
    class MyList(list):
        pass

    for tree in (Counter("aab"), MyList([1])):
        with pytest.raises(TypeError, match=r"convert.*register_container"):
            flatten(tree)


def test_wrong_number_of_leaves_is_refused() -> None:
    structure = flatten([1, 2])[1]
    for wrong in ([], [1], [1, 2, 3]):
        with pytest.raises(ShapeError, match="2"):
            unflatten(structure, wrong)


def test_tree_map_over_several_trees() -> None:
    assert tree_map(lambda a, b: a - b, {"x": [3, 4]}, {"x": [1, 1]}) == {"x": [2, 3]}
    assert tree_map(lambda a: a, None) is None
    for other in ({"x": [1]}, {"x": (1, 1)}, {"y": [1, 1]}, [1, 1], None):
        with pytest.raises(ShapeError, match="structure"):
            tree_map(lambda a, b: a - b, {"x": [3, 4]}, other)


def test_the_tree_itself_is_not_changed() -> None:
    tree = {"a": [1, 2], "b": (3,)}
    tree_map(lambda leaf: leaf + 1, tree)
    assert tree == {"a": [1, 2], "b": (3,)}
