"""What is installed: the wheel holds the three packages, each marked as typed, and nothing else."""

import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("dualad", "reversead", "shared")
#: The kinds of files in the repository.
SUFFIXES = {".cff", ".css", ".dot", ".html", ".js", ".json", ".md", ".png", ".py", ".svg", ".toml", ".typed"}
BUILD = "import sys, hatchling.build; print(hatchling.build.build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built by the backend's own hook: no isolation, so no network."""
    directory = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-c", BUILD, str(directory)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    (path,) = directory.glob("*.whl")
    return zipfile.ZipFile(path)


def metadata(wheel: zipfile.ZipFile) -> dict[str, list[str]]:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    message = Parser().parsestr(wheel.read(name).decode())
    return {key: message.get_all(key, []) for key in message}


def test_the_wheel_holds_every_source_file_of_the_three_packages_and_no_other(wheel: zipfile.ZipFile) -> None:
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    sources = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert shipped == sources


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_marked_as_typed(wheel: zipfile.ZipFile, package: str) -> None:
    assert {f"{package}/__init__.py", f"{package}/py.typed"} <= set(wheel.namelist())


def test_numpy_is_the_only_requirement_outside_the_extras(wheel: zipfile.ZipFile) -> None:
    fields = metadata(wheel)
    required = [entry for entry in fields["Requires-Dist"] if "extra ==" not in entry]
    assert required == ["numpy>=2.0"]
    assert set(fields["Provides-Extra"]) == {"bench", "dev", "distributed", "docs", "peers", "plot", "scipy", "test"}
    assert fields["Requires-Python"] == [">=3.11"]


def test_the_licence_travels_with_the_wheel(wheel: zipfile.ZipFile) -> None:
    assert any(name.endswith("/licenses/LICENSE") for name in wheel.namelist())


def test_the_version_is_the_one_of_the_changelog(wheel: zipfile.ZipFile) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert metadata(wheel)["Version"] == [version]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_repository_holds_no_file_that_a_program_left_behind() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no repository of git")
    files = [Path(name) for name in listed.stdout.split("\0") if name]
    assert {file.suffix for file in files if file.suffix} == SUFFIXES
    assert {file.name for file in files if not file.suffix} == {".gitignore", "LICENSE", "Makefile", "run"}
    assert {file.parts[0] for file in files if len(file.parts) > 1} == {*PACKAGES, ".ci", "benchmarks", "docs", "tests"}
