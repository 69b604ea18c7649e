"""`python -m benchmarks.gradbench`: a tool for GradBench, which speaks its messages over standard input and output.

In a checkout of GradBench, with this project on PYTHONPATH:

    ./gradbench run --eval "./gradbench repo eval gmm" --tool "python -m benchmarks.gradbench"
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.gradbench.protocol import PROBLEMS, BadMessage, answers, functions_of
from benchmarks.speed import OneLineParser


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer messages until the input ends; return 0, or 2 after a line that is not a message."""
    parser = OneLineParser(
        prog="python -m benchmarks.gradbench",
        description="Answer GradBench's messages, one line of JSON each, from standard input on standard output.",
    )
    parser.add_argument("--list", action="store_true", help="name the modules with their functions, and end")
    options = parser.parse_args(arguments)
    if options.list:
        for module in PROBLEMS:
            print(f"{module}: {', '.join(functions_of(module))}")
        return 0
    try:
        for line in answers(sys.stdin):
            print(line, flush=True)
    except BadMessage as error:
        print(f"python -m benchmarks.gradbench: error: {error}", file=sys.stderr)
        return 2
    # Who asked has gone.
    except BrokenPipeError:
        sys.stderr.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
