"""Sphinx's settings for the site that `docs/site/build.py` makes; it stages the sources and calls Sphinx."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

project = "dualad and reversead"
author = "the contributors"
copyright = author
root_doc = "index"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

# Headings have the anchors that a repository page gives them, so links to them are good in both places.
myst_heading_anchors = 4
# A page may begin below the first level, and GitHub's pages are read without front matter.
suppress_warnings = ["myst.header"]

# What stands in single backticks in a docstring is code.
default_role = "literal"
autodoc_member_order = "bysource"
# Annotations stay as they are written: `Callable[..., Any]`, not the path of every name in them.
autodoc_type_aliases = {f"npt.{name}": f"npt.{name}" for name in ("ArrayLike", "DTypeLike")}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 76
add_module_names = True
nitpicky = False

html_theme = "pydata_sphinx_theme"
html_title = "dualad and reversead"
html_static_path = [str(Path(__file__).parent / "static")]
html_css_files = ["site.css"]
# Light or dark, as the reader's system is.
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_copy_source = False
# These have no pages below them to list on the left.
html_sidebars: dict[str, list[str]] = {name: [] for name in ("CONTRIBUTING", "CHANGELOG", "docs/how-it-works")}
html_theme_options = {
    # Nothing is asked of a network: no icons of services, no version switcher, no analytics.
    "icon_links": [],
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "show_nav_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
pygments_style = "default"

# Code in a docstring: spans in backticks, and examples up to the next empty line.
CODE = re.compile(r"(`[^`]+`|^[ ]*>>> .*?(?=\n[ ]*\n|\Z))", re.DOTALL | re.MULTILINE)


def as_plain_text(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Let `|x|` and `2 * x` of a docstring's prose be what they are, and not markup."""
    parts = CODE.split("\n".join(lines))
    parts[::2] = [re.sub(r"(?<!\\)([|*])", r"\\\1", part) for part in parts[::2]]
    lines[:] = "".join(parts).split("\n")


def setup(app: Any) -> None:
    """Before `napoleon`, which makes markup of its own of a docstring's sections."""
    app.connect("autodoc-process-docstring", as_plain_text, priority=100)
