"""The page from a shell: `python -m shared.page module:function --example "2.0, 5.0"`.

Engines are named, and imported by name, `dualad` and `reversead` by default: the library itself names none.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from shared.calling.commands import Parser

_NAME = "python -m shared.page"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, or 1 where the function raises or has no page.

    Bad options end the process with status 2 and one line on standard error.
    """
    parser = Parser(
        prog=_NAME,
        description="Write a page that goes through a function in both modes, step by step: one HTML file, which needs "
        "nothing else.",
    )
    parser.add_call()
    parser.add_argument(
        "--cotangent",
        metavar="PYTHON",
        help="what the output is multiplied by where it is not one number: 'np.ones(3)'",
    )
    parser.add_argument("--output", type=Path, metavar="PATH", help="the file to write (default: FUNCTION.html)")
    options = parser.options(arguments)
    path: Path = options.output or Path(options.function.rpartition(":")[2].replace(os.sep, "_") + ".html")
    if path.suffix.lower() not in (".html", ".htm"):
        parser.error(f"--output {str(path)!r}: a page ends in .html")
    parser.check_file("--output", path)
    f, args, engines, argnums = parser.call(options)
    cotangent = parser.value(options, "--cotangent")
    from shared.page.making import page

    try:
        found = page(f, *args, engines=engines, argnums=argnums, cotangent=cotangent)
        found.save(path)
    except Exception as error:
        return parser.report(error)
    print(f"page: {path.resolve()}")
    return 0
