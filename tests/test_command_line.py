"""`python -m benchmarks` as a user runs it: in a process of its own, its output, errors and exit status."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(*options: str, directory: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *options],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_help_lists_every_option() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    for option in ("--sizes", "--engine", "--output", "--quick", "--full", "--seed", "--from-asv"):
        assert option in shown.stdout


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--nonsense"], "--nonsense"),
        (["stray"], "stray"),
        (["--engine", "tape"], "tape"),
        (["--sizes", "64,100"], "'100' is not a power of two from 32 to 65536"),
        (["--sizes", "16,32"], "'16' is not a power of two"),
        (["--sizes", "64"], "two different sizes"),
        (["--sizes", "64,64"], "two different sizes"),
        (["--sizes", ""], "--sizes"),
        (["--seed", "-1"], "--seed"),
        (["--seed", "half"], "'half' is not an integer"),
        (["--output", "picture.docx"], "does not end in a picture format"),
        (["--output", "picture"], "does not end in a picture format"),
        (["--output", "no/such/directory/picture.png"], "its directory has to exist"),
        (["--from-asv", "--quick"], "leave out --sizes and --quick"),
    ],
    ids=" ".join,
)
def test_a_bad_option_is_one_line_and_status_2(options: list[str], named: str) -> None:
    refused = run(*options)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1 and refused.stderr.endswith("\n")
    assert named in refused.stderr


def test_a_quick_run_prints_the_tables_and_the_path_of_the_picture(tmp_path: Path) -> None:
    picture = tmp_path / "cost.png"
    shown = run("--quick", "--output", str(picture))
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.rstrip().endswith(f"picture: {picture}")
    assert f"report: {picture.with_suffix('.html')}\n" in shown.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "data:image/png;base64," in picture.with_suffix(".html").read_text(encoding="utf-8")
    for way in ("reversead", "dualad, one by one", "dualad, batched", "backprop by hand", "finite differences"):
        assert way in shown.stdout
    for words in ("agree", "n^p", "CPU time", "operations of the same", "batched forward by"):
        assert words in shown.stdout
    assert "DISAGREE" not in shown.stdout
    assert "…" not in shown.stdout, "a cell was cut off"


@pytest.mark.parametrize(("engine", "other"), [("reversead", "dualad"), ("dualad", "reversead")])
def test_one_engine_alone_leaves_the_other_out(tmp_path: Path, engine: str, other: str) -> None:
    picture = tmp_path / "cost.svg"
    shown = run("--quick", "--sizes", "32,64", "--engine", engine, "--output", str(picture))
    assert shown.returncode == 0, shown.stderr
    assert engine in shown.stdout and other not in shown.stdout
    assert "<svg" in picture.read_text()


def test_a_missing_package_is_named_with_the_way_to_install_it(tmp_path: Path) -> None:
    (tmp_path / "sklearn").mkdir()
    (tmp_path / "sklearn" / "__init__.py").write_text(
        "raise ModuleNotFoundError('No module named sklearn', name='sklearn')"
    )
    without = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--output", str(tmp_path / "cost.png")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert without.returncode == 1
    assert "sklearn" in without.stderr and "pip install '.[bench]'" in without.stderr
    assert "Traceback" not in without.stderr
