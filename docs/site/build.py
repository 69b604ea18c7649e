"""Builds the site: `python docs/site/build.py [folder]`, by default into build/site.  `make docs` does it all.

The Markdown pages are those of the repository, and stay readable there.  So they are first copied as they lie into a
folder of sources, where links to code lead to pages that show it, and navigation, the reference from the docstrings and
the microscopes are added.  Sphinx makes HTML of that, with warnings as errors; then every link is followed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
#: A file by which a folder is known as one that Sphinx has made.
SITE = ".buildinfo"
# The sources, not an installed copy; the rest of the site's modules lie beside this file.
sys.path[:0] = [str(ROOT), str(HERE)]

import links  # noqa: E402
import microscopes  # noqa: E402
import reference  # noqa: E402
import staging  # noqa: E402


def build(output: Path) -> list[str]:
    """Make the site in that folder, which is emptied first; returns what is wrong with it.

    A folder that has anything but a site in it stays as it is.
    """
    if output.is_file() or (output.is_dir() and any(output.iterdir()) and not (output / SITE).is_file()):
        return [f"{output} is no site, and would be emptied: name a folder that is new, empty or a site"]
    from sphinx.cmd.build import build_main

    shutil.rmtree(output, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "sources"
        extra = microscopes.write(sources)
        staging.stage(ROOT, sources, extra)
        reference.write(sources / "api")
        # -E: nothing is kept between builds; -W with --keep-going: every warning is shown, and each is an error.
        options = ["-b", "html", "-q", "-E", "-W", "--keep-going", "-j", "auto", "-d", f"{folder}/doctrees"]
        if build_main([*options, "-c", str(HERE), str(sources), str(output)]):
            return ["Sphinx warned, see above"]
        microscopes.copy(sources, output)
    return links.faults(output)


def main() -> int:
    """Build, and say where it is or what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", nargs="?", type=Path, default=ROOT / "build" / "site")
    output = parser.parse_args().output.resolve()
    began = time.perf_counter()
    try:
        faults = build(output)
    except ModuleNotFoundError as error:
        faults = [f"{error.name} is not installed: pip install -e '.[docs]', or make docs"]
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        pages = len(list(output.rglob("*.html")))
        print(f"{pages} pages in {time.perf_counter() - began:.0f} s: {output / 'index.html'}")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
