"""`python -m shared.comparison` as a user runs it: in a process of its own, its output, errors and exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.comparison.command_line import main

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").exists())


def run(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "shared.comparison", *options],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_a_function_of_a_file_is_compared(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import numpy as np\nSIZE = 4\ndef loss(w, scale):\n    return np.sum(np.tanh(w) * scale)\n"
    )
    shown = run(
        tmp_path, "model:loss", "--example", "np.ones(SIZE), 2.0", "--seconds", "0.05", "--argnums", "0",
        "--plot", "ways.png",
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("loss: 4 inputs, 1 output\n")
    assert "Advice: 4 inputs, 1 output: reverse" in shown.stdout
    assert (tmp_path / "ways.png").read_bytes().startswith(b"\x89PNG")
    assert shown.stderr == f"picture: {tmp_path / 'ways.png'}\n"


@pytest.mark.parametrize("format", ["text", "markdown", "html", "json"])
def test_the_result_comes_in_every_format(format: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["numpy:square", "--example", "2.0", "--seconds", "0.01", "--format", format]) == 0
    printed = capsys.readouterr().out
    begins = {"text": "square: 1 input", "markdown": "**square: 1 input", "html": "<div><table>", "json": "{"}
    assert printed.startswith(begins[format])
    if format == "json":
        assert json.loads(printed)["function"] == "square"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["numpy:sin"], "--example"),
        (["numpy", "--example", "1.0"], "'numpy' is no function: write MODULE:FUNCTION"),
        (["numpy:", "--example", "1.0"], "is no function"),
        (["numpy.linalg.inv", "--example", "1.0"], "write numpy.linalg:inv"),
        (["numpy:cumprd", "--example", "1.0"], "there is no 'cumprd' in numpy; there is 'cumprod'"),
        (["math:sin", "--example", "ones(3)"], "NameError: name 'ones' is not defined; write np.ones"),
        (["./models/one.py:loss", "--example", "1.0"], "not a path: write models.one:loss"),
        (["numpy:nothing", "--example", "1.0"], "there is no 'nothing' in numpy"),
        (["numpy:pi", "--example", "1.0"], "'numpy:pi' is no function: it is of type float"),
        (["no_such_module:f", "--example", "1.0"], "cannot import 'no_such_module'"),
        (["numpy:sin", "--example", "1/0"], "ZeroDivisionError"),
        (["numpy:sin", "--example", "1 +"], "SyntaxError"),
        (["numpy:sin", "--example", "1.0", "--seconds", "-1"], "'-1' is not a positive number"),
        (["numpy:sin", "--example", "1.0", "--seconds", "inf"], "'inf' is not a positive number"),
        (["numpy:sin", "--example", "1.0", "--argnums", "x"], "positions are whole numbers"),
        (["numpy:sin", "--example", "1.0", "--engines", "dualad"], "takes two names"),
        (["numpy:sin", "--example", "1.0", "--engines", "dualad,nothing"], "cannot import 'nothing'"),
        (["numpy:sin", "--example", "1.0", "--plot", "picture.docx"], "ends in .png, .svg or .pdf"),
        (["numpy:sin", "--example", "1.0", "--plot", "no/such/folder/x.png"], "its folder has to exist"),
        (["numpy:sin", "--example", "1.0", "--format", "pdf"], "invalid choice: 'pdf'"),
        (["numpy:sin", "--example", "1.0", "--nonsense"], "--nonsense"),
        (["numpy:sin\n\x1b[2J", "--example", "1.0"], r"sin\n\x1b[2J"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_bad_option_is_one_line_and_status_2(
    options: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(options)
    printed = capsys.readouterr()
    assert stopped.value.code == 2 and printed.out == ""
    assert printed.err.count("\n") == 1 and printed.err.endswith("\n") and named in printed.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["numpy:array2string", "--example", "np.ones(2)"], "TypeError: compare: array2string returned"),
        (["numpy:sin", "--example", "'text'"], "LeafTypeError: compare: no argument of sin"),
        (["numpy:linalg.inv", "--example", "np.zeros((2, 2))"], "LinAlgError: Singular matrix"),
    ],
)
def test_what_the_function_does_wrong_is_one_line_and_status_1(
    options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options, "--seconds", "0.01"]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert told in printed.err and "Traceback" not in printed.err


def test_an_example_is_written_as_a_call_with_keywords_and_may_begin_with_a_minus(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("import numpy as np\ndef power(x, *, order):\n    return x**order\n")
    shown = run(tmp_path, "model:power", "--example", "-np.ones(3), order=2", "--seconds", "0.01")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("power: 3 inputs, 3 outputs\n")


def test_a_plain_array_that_is_filled_has_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import numpy as np\ndef filled(x):\n    out = np.zeros(2)\n    out[0] = x\n    return np.sum(out)\n"
    )
    shown = run(tmp_path, "model:filled", "--example", "1.0")
    assert shown.returncode == 1 and "out = np.zeros_like(x, shape=out.shape)" in shown.stderr
    assert f"(at {tmp_path / 'model.py'}:4)" in shown.stderr and shown.stderr.count("\n") == 1


def test_a_reader_who_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "shared.comparison", "numpy:sin", "--example", "1.0", "--seconds", "0.01"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b"" and running.wait() == 0


def test_an_error_of_the_function_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("def wrong(x):\n    x = 2 * x\n    raise ValueError('no luck')\n")
    shown = run(tmp_path, "model:wrong", "--example", "1.0")
    assert shown.returncode == 1
    assert shown.stderr.endswith(f"error: ValueError: no luck (at {tmp_path / 'model.py'}:3)\n")


def test_what_counts_or_indexes_is_told_to_be_fixed(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("def chosen(x, k):\n    return x[k] ** 2\n")
    options = ["model:chosen", "--example", "np.ones(3), 1", "--seconds", "0.01"]
    shown = run(tmp_path, *options)
    assert shown.returncode == 1 and shown.stderr.count("\n") == 1
    assert "here 1 at position 1" in shown.stderr and "argnums=0" in shown.stderr
    assert run(tmp_path, *options, "--argnums", "0").returncode == 0


def test_help_lists_every_option(tmp_path: Path) -> None:
    shown = run(tmp_path, "--help")
    assert shown.returncode == 0
    for option in ("--example", "--argnums", "--engines", "--seconds", "--format", "--plot"):
        assert option in shown.stdout


def test_the_bar_is_there_with_and_without_rich(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.comparison.progress import progress

    with progress("counting", 2, show=True) as advance:
        advance()
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    capsys.readouterr()
    with progress("counting", 2, show=True) as advance:
        advance()
        advance()
    assert "2/2" in capsys.readouterr().err
    with progress("counting", 2) as advance:
        advance()
    assert capsys.readouterr().err == ""
