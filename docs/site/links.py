"""Every link of a built site is followed: to files, and to the places in them; and nothing is loaded from elsewhere."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What a browser loads by itself, by element.
LOADED = {"script": "src", "img": "src", "iframe": "src", "object": "data", "source": "src"}


class Page(HTMLParser):
    """What a page of HTML refers to, what of that it loads by itself, and the places that others can refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take down what an element refers to."""
        values = {key: value or "" for key, value in attrs}
        self.places |= {values[key] for key in ("id", "name") if key in values}
        if tag in LOADED and LOADED[tag] in values:
            self.loaded.append(values[LOADED[tag]])
        elif tag == "link" and {"stylesheet", "icon", "preload"} & set(values.get("rel", "").split()):
            self.loaded.append(values.get("href", ""))
        elif "href" in values:
            self.links.append(values["href"])


def faults(site: Path) -> list[str]:
    """What is wrong in the site in that folder, a line each."""

    @cache
    def read(file: Path) -> Page:
        return Page(file.read_text(encoding="utf-8"))

    found = []
    # The theme brings templates along that are no pages.
    for file in sorted(page for page in site.rglob("*.html") if "_static" not in page.parts):
        page = read(file)
        where = file.relative_to(site).as_posix()
        found += [f"{where}: loads {target} from elsewhere" for target in page.loaded if is_elsewhere(target)]
        for target in page.links + page.loaded:
            if is_elsewhere(target) or target.startswith(("data:", "mailto:", "javascript:")):
                continue
            parts = urlsplit(target)
            aim = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if not aim.is_file():
                found.append(f"{where}: {target} is not there")
            elif parts.fragment and aim.suffix == ".html" and unquote(parts.fragment) not in read(aim).places:
                found.append(f"{where}: {target} has no such place")
    for style in sorted(site.rglob("*.css")):
        for target in re.findall(r"(?:url\(|@import\s+)['\"]?(https?://[^'\")\s]+)", style.read_text(encoding="utf-8")):
            found.append(f"{style.relative_to(site).as_posix()}: loads {target} from elsewhere")
    return list(dict.fromkeys(found))


def is_elsewhere(target: str) -> bool:
    """Whether a link leaves the site."""
    return target.startswith(("http://", "https://", "//"))
