"""What a shell says of a call: MODULE:FUNCTION, an example of its arguments, and which of them vary.

The example is Python, evaluated as its author wrote it on their own command line; nothing that comes from elsewhere is.
A bad option is one line on standard error, and the status 2.  This module knows no command.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import importlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from shared.core.errors import TracerConversionError, is_users
from shared.core.visible import one_line, shortened

#: Where a function was called from that nobody's code called.
_NOWHERE = re.compile(r" \(at <frozen [^)]*\)")


class Parser(argparse.ArgumentParser):
    """A parser of options whose errors are one line, and the usual status 2."""

    def error(self, message: str) -> NoReturn:
        """End the process with status 2, and say why in one line."""
        self.exit(2, f"{self.prog}: error: {shortened(message, 300)}\n")

    def add_call(self) -> None:
        """The options that say which function is called, and with what."""
        self.add_argument(
            "function", metavar="MODULE:FUNCTION",
            help="the function, such as numpy:hypot, or model:loss for loss in model.py of this folder",
        )  # fmt: skip
        self.add_argument(
            "--example", metavar="PYTHON", required=True,
            help="its arguments as in a call, with np for NumPy and the names of MODULE: 'np.ones(3), 2.0'; those by "
            "keyword are fixed: 'np.ones(3), order=2'",
        )  # fmt: skip
        self.add_argument(
            "--argnums", metavar="N,N,...", help="the positions of the arguments that vary, from 0 (default: all)"
        )
        self.add_argument(
            "--engines", metavar="FORWARD,REVERSE", default="dualad,reversead",
            help="the modules of two engines (default: dualad,reversead)",
        )  # fmt: skip

    def options(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """What is given, by default on the command line; ends the process where that is wrong."""
        return self.parse_args(_joined(sys.argv[1:] if arguments is None else arguments))

    def call(self, options: argparse.Namespace) -> tuple[Any, tuple[Any, ...], list[Any], Any]:
        """The function, its arguments, the two engines, and `argnums`; ends the process where one is not to be had."""
        sys.path.insert(0, os.getcwd())
        module, f = self._function(options.function)
        engines = [self._module(name, "--engines") for name in options.engines.split(",")]
        if len(engines) != 2:
            self.error("--engines takes two names, a forward and a reverse engine: --engines dualad,reversead")
        args, keywords = self._evaluated(module, "--example", options.example)
        return _with_keywords(f, keywords) if keywords else f, args, engines, self._argnums(options.argnums)

    def value(self, options: argparse.Namespace, option: str) -> Any:
        """The Python of another option, with the names that the example has; None where it is not given."""
        text = getattr(options, option.removeprefix("--"))
        if text is None:
            return None
        args, _ = self._evaluated(self._function(options.function)[0], option, text)
        return args[0] if len(args) == 1 else args

    def tell(self, text: str) -> None:
        """Print the result; a reader who has seen enough of it, such as `head`, is no error."""
        try:
            print(text, flush=True)
        except BrokenPipeError:
            # Python writes what is left when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def check_file(self, option: str, path: Path) -> None:
        """End the process, before anything is computed, where a file could not be written there."""
        if path.is_dir() or not path.parent.is_dir():
            self.error(f"{option} {str(path)!r}: its folder has to exist")

    def report(self, error: BaseException) -> int:
        """Say in one line what the user's function, or what it returns, is at fault with; the status 1."""
        # NumPy puts an error of its own, which says less, over ours: "setting an array element with a sequence".
        error = error.__cause__ if isinstance(error.__cause__, TracerConversionError) else error
        # No place of ours helps.
        text = _NOWHERE.sub("", one_line("; ".join([str(error), *getattr(error, "__notes__", ())])))
        if " (at " not in text:
            text += _place(error)
        print(f"{self.prog}: error: {type(error).__name__}: {text}", file=sys.stderr)
        return 1

    def _module(self, name: str, option: str) -> Any:
        try:
            return importlib.import_module(name)
        except Exception as error:
            self.error(f"{option}: cannot import {name!r}: {type(error).__name__}: {error}")

    def _function(self, text: str) -> tuple[Any, Any]:
        name, colon, path = text.partition(":")
        if not (name and colon and path):
            dotted, dot, last = text.rstrip(":").rpartition(".")
            meant = f"{dotted}:{last}" if dot and last != "py" else "MODULE:FUNCTION, such as model:loss"
            self.error(f"{text!r} is no function: write {meant}")
        if name.endswith(".py") or os.sep in name:
            module_name = name.removesuffix(".py").strip(f".{os.sep}").replace(os.sep, ".")
            self.error(f"{text!r} is no function: a module has a name, not a path: write {module_name}:{path}")
        module = found = self._module(name, text)
        for part in path.split("."):
            if not hasattr(found, part):
                near = difflib.get_close_matches(part, dir(found), 1)
                meant = f"; there is {near[0]!r}" if near else ""
                self.error(f"{text!r}: there is no {part!r} in {getattr(found, '__name__', found)}{meant}")
            found = getattr(found, part)
        if not callable(found):
            self.error(f"{text!r} is no function: it is of type {type(found).__name__}")
        return module, found

    def _evaluated(self, module: Any, option: str, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments, by position and by keyword, as in a call."""
        import numpy as np

        def called(*args: Any, **keywords: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
            return args, keywords

        names = {**vars(module), "np": np, "numpy": np, "__called": called}
        try:
            args, keywords = eval(f"__called({text}\n)", names)
        except NameError as error:
            meant = f"; write np.{error.name}" if hasattr(np, error.name or "") else ""
            self.error(f"{option} {text!r}: NameError: {error}{meant}")
        except Exception as error:
            self.error(f"{option} {text!r}: {type(error).__name__}: {error}")
        return args, keywords

    def _argnums(self, text: str | None) -> Any:
        if text is None:
            return None
        parts = text.split(",")
        if not all(part.strip().isdecimal() for part in parts):
            self.error(f"--argnums {text!r}: positions are whole numbers, such as 0,2")
        numbers = tuple(int(part) for part in parts)
        return numbers if len(numbers) > 1 else numbers[0]


def _joined(arguments: Sequence[str]) -> list[str]:
    """The same with Python that begins with a minus, which would look like an option, in one piece with its option.

    >>> _joined(["m:f", "--example", "-1.0"])
    ['m:f', '--example=-1.0']
    """
    found: list[str] = []
    for argument in arguments:
        if found and found[-1] in ("--example", "--cotangent"):
            found[-1] += f"={argument}"
        else:
            found.append(argument)
    return found


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


__all__ = ["Parser"]
