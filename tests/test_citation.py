"""CITATION.cff is what the Citation File Format 1.2.0 asks for, and says of the project what pyproject.toml says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
#: The fields of the schema that a software without a DOI has use for; others would have to be looked up there.
REQUIRED = {"cff-version", "message", "title", "authors"}
ALLOWED = REQUIRED | {"type", "abstract", "version", "license", "keywords"}


@pytest.fixture(scope="module")
def citation() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def test_the_fields_are_those_of_the_schema(citation: dict[str, Any]) -> None:
    assert set(citation) >= REQUIRED and set(citation) <= ALLOWED
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    assert all(isinstance(citation[key], str) and citation[key].strip() for key in ("title", "message", "abstract"))


def test_the_authors_are_an_entity(citation: dict[str, Any]) -> None:
    # An entity has a `name`; given and family names would be a person's.
    assert [set(author) for author in citation["authors"]] == [{"name"}]


def test_version_licence_and_keywords_are_the_projects(citation: dict[str, Any], project: dict[str, Any]) -> None:
    assert {key: citation[key] for key in ("version", "license", "keywords")} == {
        key: project[key] for key in ("version", "license", "keywords")
    }


def test_the_readme_names_it() -> None:
    assert re.search(r"\]\(CITATION\.cff\)", (ROOT / "README.md").read_text(encoding="utf-8"))
