"""`python -m benchmarks.site`: the front page of the site that asv publishes, and the site made to work offline.

asv's own page opens on commits.  This one shows the argument: for each topic its words, its pictures in exact ratios,
and links to asv's plots with their axes set: the size along x, a logarithmic scale, every way in one plot.  asv's pages
are made to work offline, too, so that the site can be opened as a file (`benchmarks.offline`).
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import quote

from benchmarks import offline, page, picture
from benchmarks.topics import TOPICS

HTML = Path(__file__).resolve().parent.parent / ".asv" / "html"
#: What asv's own first page is called behind ours.
ASV_PAGE = "asv.html"
#: The folder beside the site in which the JavaScript stays that asv's pages load: `asv publish` empties its own.
JAVASCRIPT = "javascript"
ONLINE = "asv's plots need the internet and `asv preview`: their JavaScript could not be copied when this was made."
BENCHMARK_NAME = re.compile("(time|peakmem|track)_.+")


def modules() -> Iterator[ModuleType]:
    """The topics, in the order in which they argue."""
    return (importlib.import_module(f"benchmarks.topics.{name}") for name in TOPICS)


def benchmarks_of(topic: ModuleType) -> Iterator[tuple[type, str]]:
    """The classes and methods of a topic that asv runs, by their names as asv finds them, in the order written."""
    for name, candidate in vars(topic).items():
        if inspect.isclass(candidate) and candidate.__module__ == topic.__name__ and not name.startswith("_"):
            for method in sorted(filter(BENCHMARK_NAME.fullmatch, dir(candidate)), reverse=True):
                yield candidate, method


def address(benchmarks: type, method: str) -> str:
    """Where asv plots that benchmark with its first parameter along x and a curve for every value of the others."""
    name = f"{benchmarks.__module__.removeprefix('benchmarks.')}.{benchmarks.__name__}.{method}"
    axes = getattr(benchmarks, "params", ())
    if not axes:
        return f"{ASV_PAGE}#{name}"
    names = benchmarks.param_names  # type: ignore[attr-defined]
    options = [f"x-axis={names[0]}", "y-axis-scale=log"]
    options += [f"p-{axis}={quote(repr(value))}" for axis, values in zip(names, axes, strict=True) for value in values]
    return f"{ASV_PAGE}#{name}?{'&'.join(options)}"


def section(topic: ModuleType) -> Iterator[str]:
    """One topic as HTML: its words, its pictures, its links."""
    title, _, rest = inspect.getdoc(topic).partition("\n\n")  # type: ignore[union-attr]
    yield page.heading(title)
    yield page.paragraph(rest)
    for plot in topic.plots():
        yield page.paragraph(plot.claim)
        yield page.image(picture.inline(picture.figure_of(plot)), f"{plot.title}: {plot.claim}")


def links(topic: ModuleType) -> str:
    """asv's plots of a topic, as a list."""
    items = (
        page.link(address(benchmarks, method), getattr(getattr(benchmarks, method), "pretty_name", method))
        for benchmarks, method in benchmarks_of(topic)
    )
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def front_page(topics: Iterable[ModuleType], note: str = "") -> str:
    """The whole front page, with a note on the links if there is something to be known of them."""
    parts = [page.paragraph(f"Ratios are counted exactly; the links lead to what asv measured, also in time. {note}")]
    for topic in topics:
        parts += [*section(topic), links(topic)]
    parts.append(f"<p>{page.link(ASV_PAGE, 'all benchmarks, by commit')}</p>")
    return page.document("What derivatives cost", parts)


def main(arguments: list[str] | None = None) -> int:
    """Put the front page before what asv has published, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.site", description="The front page of asv's site.")
    parser.add_argument("--html", type=Path, default=HTML, help="where `asv publish` wrote to (default: .asv/html)")
    html: Path = parser.parse_args(arguments).html
    published = html / "index.html"
    if not published.exists():
        print(f"python -m benchmarks.site: error: no {published}: run `make site`", file=sys.stderr)
        return 1
    asv_page = published.read_text(encoding="utf-8")
    if ASV_PAGE in asv_page:
        # It is ours, of an earlier call: `asv publish` has not written its own since.
        asv_page = (html / ASV_PAGE).read_text(encoding="utf-8")
    note = ""
    try:
        asv_page = offline.with_copies(asv_page, html, html.parent / JAVASCRIPT)
    except (OSError, offline.WrongDigest) as error:
        note = ONLINE
        print(f"{note} ({error})", file=sys.stderr)
    (html / ASV_PAGE).write_text(offline.with_numbers(asv_page, html), encoding="utf-8")
    published.write_text(front_page(modules(), note), encoding="utf-8")
    print(f"site: {published}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
