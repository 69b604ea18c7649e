"""Programs by the seed, each through the checks: what failed, made small and told so that it can be pasted and run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from fuzz.checks import CHECKS, Outcome, outcome
from fuzz.comparison import Failure
from fuzz.drawing import drawn_program
from fuzz.programs import Program
from fuzz.shrinking import shrunk


@dataclass(frozen=True)
class Found:
    """A program that fails a check."""

    seed: int
    check: str
    program: Program
    outcome: Outcome

    def shrunk(self) -> Found:
        """The same with as little left of the program as still fails in the same way."""
        small = shrunk(self.program, lambda program: same_failure(outcome(program, self.check), self.outcome))
        return Found(self.seed, self.check, small, outcome(small, self.check))

    @property
    def kind(self) -> str:
        """What failures that look alike have in common; an error of the library may come from any check."""
        said = signature(self.outcome)
        return f"{self.check}: {said}" if isinstance(self.outcome.error, Failure) else said

    def __str__(self) -> str:
        error = self.outcome.error
        return "\n".join(
            [
                f"seed {self.seed} fails the check {self.check!r}: {type(error).__name__}",
                f"  {self.outcome.why}",
                "the program:",
                *("    " + line for line in self.program.source().splitlines()),
                f"again: python -m tests.fuzz --programs 1 --seed {self.seed} --check {self.check}",
            ]
        )


@dataclass
class Tally:
    """How often a check came out how."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, check: str, found: Outcome) -> None:
        self.outcomes[check, found.kind] += 1

    def share(self, kind: str, check: str | None = None) -> float:
        """The share of outcomes of a kind, of one check or of all."""
        counted = {key: count for key, count in self.outcomes.items() if check in (None, key[0])}
        total = sum(counted.values())
        return sum(count for key, count in counted.items() if key[1] == kind) / max(total, 1)

    def __str__(self) -> str:
        kinds = ("passed", "refused", "inconclusive", "failed")
        checks = list(dict.fromkeys(check for check, _ in self.outcomes))
        rows = [("check", *kinds), *((check, *(str(self.outcomes[check, kind]) for kind in kinds)) for check in checks)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)


def same_failure(one: Outcome, other: Outcome) -> bool:
    return one.kind == other.kind == "failed" and signature(one) == signature(other)


def signature(outcome: Outcome) -> str:
    """What failures that look alike have in common: the type of the error, and what it says of the check."""
    error = outcome.error
    said = error.what if isinstance(error, Failure) else str(error)
    return f"{type(error).__name__}: {said.split(' at (')[0].split(' (at ')[0][:70]}"


def failures(
    seeds: Iterable[int], checks: Sequence[str] = tuple(CHECKS), tally: Tally | None = None
) -> Iterator[Found]:
    """The programs of these seeds that fail, as they were drawn."""
    for seed in seeds:
        program = drawn_program(seed)
        for check in checks:
            result = outcome(program, check)
            if tally is not None:
                tally.add(check, result)
            if result.kind == "failed":
                yield Found(seed, check, program, result)
