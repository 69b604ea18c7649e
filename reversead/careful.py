"""Sweeps over a tape with cotangents and tangents that know which of their elements are exact zeros.

It is loaded when a sweep has found a NaN (see `shared.calling.careful`), and knows the tape and what such seeds are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.calling.careful import instead
from shared.calling.results import CAREFUL
from shared.core.levels import attempt
from shared.linear.known_zeros import KnownZeros

if TYPE_CHECKING:
    from reversead.tape import Tape


def pulled(tape: Tape, nodes: list[int], seeds: list[Any], found: list[Any]) -> list[Any]:
    """The cotangents of the leaves in place of `found`, which have a NaN; or from the start, within another such."""
    if CAREFUL.get():
        return _either(lambda: swept(tape, nodes, seeds), lambda: tape.sweep(nodes, seeds))
    return instead(found, lambda: swept(tape, nodes, seeds))


def pushed(tape: Tape, tangents: list[Any], nodes: list[int], found: list[Any]) -> list[Any]:
    """The same for the tangents of some nodes."""

    def with_zeros() -> list[Any]:
        known = KnownZeros()
        return known.plain(tape.push(known.seeds(tangents), nodes))

    if CAREFUL.get():
        return _either(with_zeros, lambda: tape.push(tangents, nodes))
    return instead(found, with_zeros)


def swept(tape: Tape, nodes: list[int], seeds: list[Any], keep: bool = True) -> list[Any]:
    """As `Tape.sweep`, with cotangents that know their exact zeros."""
    known = KnownZeros()
    return known.plain(tape.sweep(nodes, known.seeds(seeds), keep))


def _either(careful: Any, plain: Any) -> list[Any]:
    found: list[Any] = attempt(careful, lambda error: plain())
    return found
