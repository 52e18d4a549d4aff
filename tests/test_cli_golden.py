"""What a person sees, page by page at 80 columns, through the real command; and what the streams do to it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from command import LINE, environment, fitkit, python, written
from test_report_text import golden

MASKS = (
    (re.compile(r"\d+\.\d+ s\b"), "#.## s"),
    (re.compile(r"\d\.\d+e-\d+"), "#.#e-##"),
    (re.compile(r"\b\d+ (step|evaluation)s?\b"), r"# \1s"),
)
"""Times, what rounding leaves of zero, and the optimizer's own pace are no part of a page."""


def masked(text: str) -> str:
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    return text


def page(name: str, config: str, folder: Path, *arguments: str) -> tuple[int, str]:
    written(folder, f"{name}.yaml", config)
    done = fitkit("train", f"{name}.yaml", "--out", "run", *arguments, cwd=folder)
    assert all(len(line) <= 80 for line in done.out.splitlines())
    return done.code, masked(f"-- standard output\n{done.out}-- standard error\n{done.err}")


def test_a_fit_that_converged(tmp_path: Path) -> None:
    code, text = page("line", LINE, tmp_path)
    golden("cli_converged.txt", text)
    assert code == 0


def test_a_fit_that_did_not_converge(tmp_path: Path) -> None:
    code, text = page("line", LINE, tmp_path, "--set", "stopping.max_steps=0")
    golden("cli_not_converged.txt", text)
    assert code == 4


def test_a_config_with_mistakes(tmp_path: Path) -> None:
    config = LINE.replace("parameters", "parametres") + "optimizer: {kind: adam, learning_rat: 0.1}\nseed: one\n"
    code, text = page("mistaken", config, tmp_path)
    golden("cli_config_error.txt", text)
    assert code == 2


def test_data_with_mistakes(tmp_path: Path) -> None:
    written(tmp_path, "table.csv", "time,counts\n1,10\n2,n/a\n3,7\n")
    config = "data: table.csv\nmodel: counts ~ a * exp(-k * time)\nparameters: {a: 10, k: 1}\n"
    code, text = page("decay", config, tmp_path)
    golden("cli_data_error.txt", text)
    assert code == 3


# -- the streams ------------------------------------------------------------------------------------------------------------


def test_an_ascii_locale_gets_ascii(tmp_path: Path) -> None:
    written(tmp_path, "d.csv", "größe,y\n0,1\n1,3\n2,2\n3,5\n4,4\n")
    written(tmp_path, "c.yaml", "data: d.csv\nmodel: {kind: linear, inputs: [größe], target: y}\n")
    written(tmp_path, "wrong.yaml", "data: d.csv\nmodel: {kind: linear, inputs: [grüße], target: y}\n")
    for changes in ({"LC_ALL": "C"}, {"LC_ALL": "", "PYTHONIOENCODING": "ascii"}):
        fitted = fitkit("train", "c.yaml", "--no-save", "-v", cwd=tmp_path, changes=changes)
        assert fitted.code == 0, fitted.err
        assert (fitted.out + fitted.err).isascii()
        assert "->" in fitted.out
        assert "R squared" in fitted.out
    for arguments in (["list"], ["schema"], ["validate", "c.yaml", "wrong.yaml"]):
        shown = fitkit(*arguments, cwd=tmp_path, changes={"LC_ALL": "C"})
        assert (shown.out + shown.err).isascii()
    assert "u^2" in fitkit("list", "losses", changes={"LC_ALL": "C"}).out
    assert "u²" in fitkit("list", "losses").out


@pytest.mark.parametrize("command", ["list", "schema", "train line.yaml --no-save -v"])
def test_a_reader_that_has_enough_changes_no_exit_code(tmp_path: Path, command: str) -> None:
    written(tmp_path, "line.yaml", LINE)
    reader = subprocess.Popen(["head", "-1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S607
    assert reader.stdin is not None
    writer = subprocess.Popen(
        [sys.executable, "-m", "fitkit", *command.split()],
        cwd=tmp_path, env=environment(), stdout=reader.stdin, stderr=subprocess.PIPE,
    )  # fmt: skip
    reader.stdin.close()
    reader.stdin = None
    message = writer.communicate(timeout=60)[1]
    first, _ = reader.communicate(timeout=60)
    assert (writer.returncode, message) == (0, b"")
    assert first.count(b"\n") == 1


def test_a_pipe_that_nobody_reads_changes_no_exit_code() -> None:
    closed = "import os; r, w = os.pipe(); os.close(r); os.dup2(w, 1); from fitkit.cli.main import main; main()"
    for arguments, code in ((["schema"], 0), (["list"], 0), (["validate", "configs", "nothing.yaml"], 2)):
        done = python("-c", closed, *arguments)
        assert done.code == code
        assert "Broken pipe" not in done.err
        assert "internal error" not in done.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_behind_standard_output_is_8(tmp_path: Path) -> None:
    written(tmp_path, "line.yaml", LINE)
    for command in ("list", "train line.yaml --no-save --json"):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "fitkit", *command.split()],
                cwd=tmp_path, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
        assert done.returncode == 8
        assert done.stderr.startswith("error[E802]: standard output cannot be written: No space left")
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_stream_is_no_mistake(tmp_path: Path, closed: int) -> None:
    written(tmp_path, "line.yaml", LINE)
    script = f'exec {closed}>&-; exec "$0" -m fitkit train line.yaml --out run'
    done = subprocess.run(
        ["/bin/sh", "-c", script, sys.executable],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "run/result.json").exists()
