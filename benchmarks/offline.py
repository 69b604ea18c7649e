"""asv's page made to work without a network and without a server.

asv's page loads its JavaScript from the internet, and its numbers by requests that a browser refuses to a page opened
as a file.  Copies of the JavaScript, checked against the digests that the page itself gives, are put beside it; the
numbers go into a script of their own, which answers the requests.  This module knows nothing of what is measured.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ELSEWHERE = re.compile(r'(?:src|href)="(https://[^"]+)" integrity="(sha\d+-[^"]+)"[^>]*')


class Packed(NamedTuple):
    """A file of an npm package: the package with its version, the path in it, its digest where the address has
    another file, such as a shortened one."""

    package: str
    path: str
    digest: str | None = None


_FLOT = "https://cdnjs.cloudflare.com/ajax/libs/flot/0.8.3/jquery.flot"
#: Where npm's registry has what asv 0.6 loads, for networks from which the addresses themselves cannot be reached.
PACKED = {
    "https://code.jquery.com/jquery-3.3.1.min.js": Packed("jquery@3.3.1", "dist/jquery.min.js"),
    f"{_FLOT}.min.js": Packed("flot@0.8.3", "jquery.flot.js", "sha256-t7kx8nPDixJ3ucbB9OBcTsCYhaSHvdrzJ54tfkmjjhI="),
    f"{_FLOT}.time.min.js": Packed(
        "flot@0.8.3", "jquery.flot.time.js", "sha256-pYLIMq3HE4prBar2HxbrrCdHAfG+Sv6nfnOaHDS5xBo="
    ),
    f"{_FLOT}.selection.min.js": Packed(
        "flot@0.8.3", "jquery.flot.selection.js", "sha256-5shfbB6+S02inYriOMfFBgKD8F9+8FT2uRgX0CwJKRg="
    ),
    f"{_FLOT}.categories.min.js": Packed(
        "flot@0.8.3", "jquery.flot.categories.js", "sha256-boFmSyjqeVxzSQb0qhVhRkCnWsf705mn+5CEBAaYNRo="
    ),
    "https://cdn.jsdelivr.net/npm/flot-orderbars@1.0.0/js/jquery.flot.orderBars.js": Packed(
        "flot-orderbars@1.0.0", "js/jquery.flot.orderBars.js"
    ),
    "https://cdnjs.cloudflare.com/ajax/libs/stupidtable/1.0.1/stupidtable.min.js": Packed(
        "stupid-table-plugin@1.1.3", "stupidtable.min.js", "sha256-RkI4Dyjr6e18rCUXk7KB74YgxDhiBdkniPmxL1zOtOA="
    ),
    "https://cdnjs.cloudflare.com/ajax/libs/blueimp-md5/2.19.0/js/md5.min.js": Packed(
        "blueimp-md5@2.19.0", "js/md5.min.js"
    ),
    "https://cdn.jsdelivr.net/npm/bootstrap@3.1.1/dist/js/bootstrap.min.js": Packed(
        "bootstrap@3.1.1", "dist/js/bootstrap.min.js"
    ),
    "https://cdn.jsdelivr.net/npm/bootstrap@3.1.1/dist/css/bootstrap.min.css": Packed(
        "bootstrap@3.1.1", "dist/css/bootstrap.min.css"
    ),
}

#: The numbers, and jQuery told to take them from here before it asks a server.
SCRIPT = """$.ajaxTransport("json", function(options) {
    var path = decodeURIComponent(options.url.split("?")[0]);
    if (!Object.prototype.hasOwnProperty.call(saved, path)) return;
    return {
        // Later, as a server answers: asv asks before all its scripts have run.
        send: function(headers, complete) { setTimeout(complete, 0, 200, "OK", {json: saved[path]}); },
        abort: $.noop
    };
});
"""


class WrongDigest(Exception):
    """What was loaded is not what asv's page says it should be."""


def load(url: str) -> bytes:
    """The content of an address."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        content: bytes = answer.read()
    return content


def load_packed(url: str) -> bytes:
    """What npm has of an address, by the npm that is installed.  Raises OSError where it has nothing."""
    if url not in PACKED or shutil.which("npm") is None:
        raise OSError(f"{url} cannot be reached, and npm does not have it")
    with tarfile.open(fileobj=io.BytesIO(_package(PACKED[url].package))) as package:
        found = package.extractfile(f"package/{PACKED[url].path}")
        assert found is not None
        return found.read()


@functools.cache
def _package(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        command = ["npm", "pack", "--silent", "--pack-destination", directory, name]
        try:
            made = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired as error:
            raise OSError(f"npm could not load {name} in {error.timeout:.0f} seconds") from error
        packages = list(Path(directory).iterdir())
        if made.returncode or not packages:
            raise OSError(f"npm could not load {name}: {made.stderr.strip()[-200:]}")
        return packages[0].read_bytes()


def _is(content: bytes, digest: str | None) -> bool:
    algorithm, _, expected = (digest or "none-").partition("-")
    return digest is not None and base64.b64encode(hashlib.new(algorithm, content).digest()).decode() == expected


def with_copies(
    html: str,
    directory: Path,
    kept: Path,
    fetch: Callable[[str], bytes] | None = None,
    otherwise: Callable[[str], bytes] | None = None,
) -> str:
    """A page of asv's with what it loads from elsewhere copied into `directory`/local, and loaded from there.

    What `fetch` cannot reach `otherwise` has, by default npm.  Copies stay in `kept`, and those that are there are not
    loaded again.  Raises WrongDigest for content that is not what the page expects, and OSError where it cannot be had.
    """
    copies = directory / "local"

    def replaced(found: re.Match[str]) -> str:
        url, digest = found.groups()
        copy = kept / url.rpartition("/")[2]
        if copy.exists():
            content = copy.read_bytes()
        else:
            try:
                content = (fetch or load)(url)
            except OSError:
                content = (otherwise or load_packed)(url)
        other = PACKED[url].digest if url in PACKED else None
        if not (_is(content, digest) or _is(content, other)):
            copy.unlink(missing_ok=True)
            raise WrongDigest(f"{url} is not what asv's page expects: its digest is not {digest}")
        for place in (kept, copies):
            place.mkdir(parents=True, exist_ok=True)
            (place / copy.name).write_bytes(content)
        return f'{found[0].partition("=")[0]}="local/{copy.name}"'

    return ELSEWHERE.sub(replaced, html)


def with_numbers(html: str, directory: Path) -> str:
    """A page of asv's with all numbers that it asks a server for in a script, `directory`/local/numbers.js."""
    paths = [*directory.glob("*.json"), *directory.glob("graphs/**/*.json")]
    saved = {path.relative_to(directory).as_posix(): json.loads(path.read_text(encoding="utf-8")) for path in paths}
    script = directory / "local" / "numbers.js"
    script.parent.mkdir(exist_ok=True)
    # jQuery's `$` is there when the page's head ends, and nothing has been asked for yet.
    script.write_text(f"(function() {{\nvar saved = {json.dumps(saved)};\n{SCRIPT}}})();\n", encoding="utf-8")
    tag = '<script src="local/numbers.js"></script>'
    return html if tag in html else html.replace("</head>", f"{tag}</head>", 1)
