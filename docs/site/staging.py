"""The sources of the site: the repository's pages with a navigation, and pages of the code that they link to.

It knows where pages lie and how Markdown links to them, nothing of what they say.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
from pathlib import Path

#: The sections of the site, in order, and the pages of each by pattern.  What no pattern names is a guide.
SECTIONS = {
    "Guides": [
        "recipes", "coming-from", "explaining", "comparing", "counting", "compiling", "checking", "sensitivities"
    ],
    "Tables": ["conventions", "coverage", "scipy", "scipy-special", "peers", "reproductions"],
}  # fmt: skip
#: Pages of the repository that stand in the navigation by themselves, by the name of their section there.
BESIDE = ["CONTRIBUTING", "CHANGELOG"]

LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
#: A block of code, or a span of it: what looks like a link in there is none.
CODE = re.compile(r"(^(`{3,}).*?^\2`*$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)
LANGUAGES = {".py": "python", ".toml": "toml", ".dot": "text", ".json": "json", ".cff": "yaml"}


def stage(root: Path, sources: Path, extra: list[str]) -> None:
    """Write the sources of the site of that repository into a folder; `extra` are guides that lie there already."""
    sources.mkdir(exist_ok=True)
    # The README of the repository is the front page; so links to it are links to that.
    pages = [*root.glob("*.md"), *root.glob("docs/*.md"), *root.glob("docs/lectures/*.md")]
    for picture in [*root.glob("docs/**/*.svg"), *root.glob("docs/**/*.png")]:
        copy = sources / picture.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, copy)
    shown: set[Path] = set()
    for page in pages:
        copy = sources / place(page.relative_to(root))
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = with_links_staged(page.read_text(encoding="utf-8"), page, root, shown)
        copy.write_text(text + tree(page.relative_to(root)), encoding="utf-8")
    for path in shown:
        copy = sources / f"source/{path.as_posix()}.md"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(page_of_source(root, path), encoding="utf-8")
    there = {page.stem for page in root.glob("docs/*.md")}
    named = {name for names in SECTIONS.values() for name in names} | {"how-it-works"}
    for section, names in SECTIONS.items():
        listed = [f"docs/{name}" for name in names if name in there]
        if section == "Guides":
            listed += [f"docs/{name}" for name in sorted(there - named)] + extra
        (sources / f"{section.lower()}.md").write_text(section_page(sources, section, listed), encoding="utf-8")


def place(page: Path) -> Path:
    """Where a page of the repository lies in the sources."""
    return Path("index.md") if page == Path("README.md") else page


def with_links_staged(text: str, page: Path, root: Path, shown: set[Path]) -> str:
    """The text of a page with its links to code led to pages of that, which are added to `shown`."""

    def staged(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        file = Path(os.path.normpath(page.parent / target))
        if "://" in target or not file.exists() or not file.is_relative_to(root):
            return match[0]
        path = file.relative_to(root)
        if path.suffix in (".svg", ".png"):
            return match[0]
        if path.suffix == ".md" and (path.parent == Path() or path.parts[0] == "docs"):
            path = place(path)
        else:
            shown.add(path)
            path = Path("source") / f"{path.as_posix()}.md"
        return Path(os.path.relpath(path, page.relative_to(root).parent)).as_posix() + anchor

    parts = CODE.split(text)
    # Three parts a match: the text before it, the code, and the fence that the pattern had to remember.
    return "".join(
        LINK.sub(staged, part) if k % 3 == 0 else part for k, part in enumerate(parts) if k % 3 != 2 and part
    )


def tree(page: Path) -> str:
    """What the navigation needs below the text of a page."""
    if page == Path("README.md"):
        entries = ["Lectures <docs/lectures/README>", *(section.lower() for section in SECTIONS)]
        return toctree([*entries, "API <api/index>", "How it works <docs/how-it-works>", *BESIDE])
    if page == Path("docs/lectures/README.md"):
        return toctree(["[0-9]*"])
    return ""


def toctree(entries: list[str], *options: str) -> str:
    """The directive for a navigation with those entries, a pattern each."""
    return "\n".join(["", "```{toctree}", ":hidden:", ":glob:", *options, *entries, "```", ""])


def section_page(sources: Path, title: str, pages: list[str]) -> str:
    """The page of a section: each of its pages with the first paragraph of it."""
    lines = [f"# {title}", ""]
    for page in pages:
        text = (sources / f"{page}.md").read_text(encoding="utf-8")
        heading, _, rest = text.partition("\n")
        paragraph = rest.strip().partition("\n\n")[0].replace("\n", " ")
        # A link of the paragraph is seen from another folder; its words are enough here.
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", paragraph)
        lines += [f"[**{heading.removeprefix('# ')}**]({page}.md): {words}", ""]
    return "\n".join(lines) + toctree(pages)


def page_of_source(root: Path, path: Path) -> str:
    """A page that shows a file of the repository, or says what is in a folder of it."""
    head = f"---\norphan: true\n---\n# {path.as_posix()}\n\n"
    file = root / path
    if file.is_dir():
        return head + folder_listing(file)
    # No file of the project has a fence of seven.
    text = file.read_text(encoding="utf-8").rstrip("\n")
    return f"{head}```````{LANGUAGES.get(path.suffix, 'text')}\n{text}\n```````\n"


def folder_listing(folder: Path) -> str:
    """The first paragraph of a package, and that of each of its modules."""

    def docstring(file: Path) -> str:
        return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""

    def entry_of(name: str, file: Path) -> str:
        return f"- `{name}`: {' '.join(docstring(file).partition(chr(10) * 2)[0].split())}\n"

    init = folder / "__init__.py"
    text = docstring(init) + "\n\n" if init.exists() else ""
    for entry in sorted(folder.iterdir()):
        if entry.suffix == ".py" and entry != init:
            text += entry_of(entry.name, entry)
        elif (entry / "__init__.py").exists():
            text += entry_of(f"{entry.name}/", entry / "__init__.py")
    return text
