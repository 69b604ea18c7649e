"""The comparison from a shell: `python -m shared.comparison module:function --example "np.ones(3), 2.0"`.

Engines are named, and imported by name, `dualad` and `reversead` by default: the library itself names none.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from shared.calling.commands import Parser
from shared.core.visible import one_line

_NAME = "python -m shared.comparison"
_FORMATS = ("text", "markdown", "html", "json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, or 1 where derivatives disagree or the function raises.

    Bad options end the process with status 2 and one line on standard error.
    """
    parser = _parser()
    options = parser.options(arguments)
    f, args, engines, argnums = parser.call(options)
    _check_plot(parser, options.plot)
    from shared.comparison.compared import compare

    try:
        found = compare(f, *args, engines=engines, argnums=argnums, seconds=options.seconds)
    except Exception as error:
        return parser.report(error)
    texts: dict[str, Callable[[], str]] = {
        "text": found.__str__,
        "markdown": found.markdown,
        "html": found.html,
        "json": lambda: json.dumps(found.to_dict(), indent=1, default=str),
    }
    parser.tell(texts[options.format]())
    if options.plot is not None:
        try:
            found.plot(options.plot)
        except (ModuleNotFoundError, OSError) as error:
            print(f"{_NAME}: error: {one_line(str(error))}", file=sys.stderr)
            return 1
        print(f"picture: {options.plot.resolve()}", file=sys.stderr)
    return 0 if found.agreement.holds else 1


def _parser() -> Parser:
    parser = Parser(
        prog=_NAME,
        description="Compare all ways to the derivatives of a function: forward and reverse mode, batched, sparse, "
        "compiled, differences; what each costs, whether they agree, and which to take.",
        epilog="Set OPENBLAS_NUM_THREADS=1 to have times that compare.",
    )
    parser.add_call()
    parser.add_argument("--seconds", type=_positive, default=1.0, help="how long to measure (default: 1)")
    parser.add_argument("--format", choices=_FORMATS, default="text", help="of the result (default: text)")
    parser.add_argument("--plot", type=Path, metavar="PATH", help="also write a picture: .png, .svg or .pdf")
    return parser


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return number


def _check_plot(parser: Parser, path: Path | None) -> None:
    if path is None:
        return
    if path.suffix not in (".png", ".svg", ".pdf"):
        parser.error(f"--plot {str(path)!r}: a picture ends in .png, .svg or .pdf")
    parser.check_file("--plot", path)
