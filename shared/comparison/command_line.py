"""The comparison from a shell: `python -m shared.comparison module:function --example "np.ones(3), 2.0"`.

Engines are named, and imported by name, `dualad` and `reversead` by default: the library itself names none.  The
example is Python, evaluated as its author wrote it on their own command line; nothing that comes from elsewhere is.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from shared.core.errors import is_users
from shared.core.visible import one_line, shortened

_NAME = "python -m shared.comparison"
#: Where a function was called from that nobody's code called.
_NOWHERE = re.compile(r" \(at <frozen [^)]*\)")
_FORMATS = ("text", "markdown", "html", "json")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, and the usual status 2."""
        self.exit(2, f"{_NAME}: error: {shortened(message, 300)}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, or 1 where derivatives disagree or the function raises.

    Bad options end the process with status 2 and one line on standard error.
    """
    parser = _parser()
    options = parser.parse_args(_joined(sys.argv[1:] if arguments is None else arguments))
    sys.path.insert(0, os.getcwd())
    module, f = _function(parser, options.function)
    engines = [_module(parser, name, "--engines") for name in options.engines.split(",")]
    if len(engines) != 2:
        parser.error("--engines takes two names, a forward and a reverse engine: --engines dualad,reversead")
    args, keywords = _example(parser, module, options.example)
    if keywords:
        f = _with_keywords(f, keywords)
    argnums = _argnums(parser, options.argnums)
    _check_plot(parser, options.plot)
    from shared.comparison.compared import compare

    try:
        found = compare(f, *args, engines=engines, argnums=argnums, seconds=options.seconds)
    except Exception as error:
        # The user's function, or what it returns, is at fault: no place of ours helps.
        text = _NOWHERE.sub("", one_line("; ".join([str(error), *getattr(error, "__notes__", ())])))
        if " (at " not in text:
            text += _place(error)
        print(f"{_NAME}: error: {type(error).__name__}: {text}", file=sys.stderr)
        return 1
    texts: dict[str, Callable[[], str]] = {
        "text": found.__str__,
        "markdown": found.markdown,
        "html": found.html,
        "json": lambda: json.dumps(found.to_dict(), indent=1, default=str),
    }
    print(texts[options.format]())
    if options.plot is not None:
        try:
            found.plot(options.plot)
        except (ModuleNotFoundError, OSError) as error:
            print(f"{_NAME}: error: {one_line(str(error))}", file=sys.stderr)
            return 1
        print(f"picture: {options.plot.resolve()}", file=sys.stderr)
    return 0 if found.agreement.holds else 1


def _parser() -> _Parser:
    parser = _Parser(
        prog=_NAME,
        description="Compare all ways to the derivatives of a function: forward and reverse mode, batched, sparse, "
        "compiled, differences; what each costs, whether they agree, and which to take.",
        epilog="Set OPENBLAS_NUM_THREADS=1 to have times that compare.",
    )
    parser.add_argument("function", metavar="MODULE:FUNCTION", help="the function, such as numpy:cumprod or model:loss")
    parser.add_argument(
        "--example", metavar="PYTHON", required=True,
        help="its arguments as in a call, with np for NumPy and the names of MODULE: 'np.ones(3), 2.0'; those by "
        "keyword are fixed: 'np.ones(3), order=2'",
    )  # fmt: skip
    parser.add_argument("--argnums", metavar="N,N,...", help="the positions of the arguments that vary (default: all)")
    parser.add_argument(
        "--engines", metavar="FORWARD,REVERSE", default="dualad,reversead",
        help="the modules of two engines (default: dualad,reversead)",
    )  # fmt: skip
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


def _module(parser: _Parser, name: str, option: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:
        parser.error(f"{option}: cannot import {name!r}: {type(error).__name__}: {error}")


def _function(parser: _Parser, text: str) -> tuple[Any, Any]:
    name, colon, path = text.partition(":")
    if not (name and colon and path):
        parser.error(f"{text!r} is no function: write MODULE:FUNCTION, such as numpy:cumprod")
    if name.endswith(".py") or os.sep in name:
        module_name = name.removesuffix(".py").strip(f".{os.sep}").replace(os.sep, ".")
        parser.error(f"{text!r} is no function: a module has a name, not a path: write {module_name}:{path}")
    module = found = _module(parser, name, text)
    for part in path.split("."):
        if not hasattr(found, part):
            parser.error(f"{text!r}: there is no {part!r} in {getattr(found, '__name__', found)}")
        found = getattr(found, part)
    if not callable(found):
        parser.error(f"{text!r} is no function: it is of type {type(found).__name__}")
    return module, found


def _joined(arguments: Sequence[str]) -> list[str]:
    """The same with an example that begins with a minus, which would look like an option, in one piece with its name.

    >>> _joined(["m:f", "--example", "-1.0"])
    ['m:f', '--example=-1.0']
    """
    found: list[str] = []
    for argument in arguments:
        if found and found[-1] == "--example":
            found[-1] = f"--example={argument}"
        else:
            found.append(argument)
    return found


def _example(parser: _Parser, module: Any, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments, by position and by keyword, as in a call."""
    import numpy as np

    def called(*args: Any, **keywords: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return args, keywords

    names = {**vars(module), "np": np, "numpy": np, "__called": called}
    try:
        args, keywords = eval(f"__called({text}\n)", names)
    except Exception as error:
        parser.error(f"--example {text!r}: {type(error).__name__}: {error}")
    return args, keywords


def _with_keywords(f: Callable[..., Any], keywords: dict[str, Any]) -> Callable[..., Any]:
    """The function of its positional arguments, under its own name: those by keyword are fixed."""

    @functools.wraps(f)
    def fixed(*args: Any) -> Any:
        return f(*args, **keywords)

    return fixed


def _place(error: BaseException) -> str:
    """The innermost line of the user's code that an error came through, as " (at file.py:12)"; empty if none is."""
    lines = [
        f" (at {one_line(frame.f_code.co_filename)}:{line})"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if is_users(frame.f_code)
    ]
    return lines[-1] if lines else ""


def _argnums(parser: _Parser, text: str | None) -> Any:
    if text is None:
        return None
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        parser.error(f"--argnums {text!r}: positions are whole numbers, such as 0,2")
    numbers = tuple(int(part) for part in parts)
    return numbers if len(numbers) > 1 else numbers[0]


def _check_plot(parser: _Parser, path: Path | None) -> None:
    if path is None:
        return
    if path.suffix not in (".png", ".svg", ".pdf"):
        parser.error(f"--plot {str(path)!r}: a picture ends in .png, .svg or .pdf")
    if path.is_dir() or not path.parent.is_dir():
        parser.error(f"--plot {str(path)!r}: its folder has to exist")
