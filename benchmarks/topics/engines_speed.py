"""The engines beside their references, in one process and in turns: the table of `python -m benchmarks.speed`.

The reference is the same derivative by hand but for the gradients forwards, which stand beside those in reverse.
"""

import os
from collections.abc import Iterator

from benchmarks import speed
from benchmarks.curves import Plot
from benchmarks.speed_table import WORKLOADS


class Ratio:
    """The time of an engine over that of its reference."""

    version = "2"
    # Each builds and times a workload of its own, a second and more: a quick run takes the first few.
    params = (
        [work.name for work in WORKLOADS if work.quantity == "time"][
            : 4 if os.environ.get("BENCHMARKS_QUICK") else None
        ],
    )
    param_names = ("work",)

    def track_ratio(self, work: str) -> float:
        (workload,) = [each for each in WORKLOADS if each.name == work]
        return round(speed.measure(workload, repeat=10).ratio, 2)

    track_ratio.pretty_name = "engines beside their references: ratio of times"  # type: ignore[attr-defined]
    track_ratio.unit = "times the reference's time"  # type: ignore[attr-defined]


def plots() -> Iterator[Plot]:
    """None: the works have no common axis."""
    return iter(())
