"""The microscope: a page that goes through one program in both modes, step by step.

`shared.page(f, *args).save("f.html")` writes one file that needs nothing else.  The room itself is what is called, so
that the command line, `python -m shared.page`, has the same name.  It knows recorded programs and what explains them,
and no engine.

Public: `shared.page`, and `shared.page.Page`.
"""

import sys
import typing
from types import ModuleType

from shared.page.making import Page
from shared.page.making import page as _page

__all__ = ["Page"]


class _Room(ModuleType):
    """A package that is called like its function."""

    __call__ = staticmethod(_page)


if not typing.TYPE_CHECKING:
    sys.modules[__name__].__class__ = _Room
