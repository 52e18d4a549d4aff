"""Ctrl-C and SIGTERM: the first saves what was reached, a second stops at once."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command import LONG, environment, written

TALKATIVE = "import fitkit.progress as p; p.LOG_SECONDS = 0.2; from fitkit.cli.main import main; main()"
"""The command, with a line of progress every 0.2 s."""


def start(cwd: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", TALKATIVE, "train", "long.yaml", *arguments],
        cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in out + err, err
    return process.returncode, out, err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_what_was_reached(tmp_path: Path, number: signal.Signals, code: int) -> None:
    written(tmp_path, "long.yaml", LONG)
    began = time.monotonic()
    process = start(tmp_path, "--out", "run")
    assert process.stderr is not None
    lines = [process.stderr.readline() for _ in range(3)]  # the fit is under way: some of these tell of later steps
    process.send_signal(number)
    returned, out, err = finish(process)
    assert returned == code
    assert out.startswith("Interrupted after ")
    assert all(1.7 < float(line.split()[3]) <= 1.8 for line in lines)  # residuals 1, 2, 0, 2, 0 at the start
    assert " s\n" not in out
    assert len(lines) + err.count("step ") <= (time.monotonic() - began) / 0.2 + 1
    assert err.splitlines()[-1] == "saved to run"

    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files == {
        "result.json",
        "config.yaml",
        "history.csv",
        "predictions.csv",
        "parameters.npz",
        "model.json",
        "model.npz",
    }
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert (result["status"], result["reason"], result["exit_code"]) == ("interrupted", "interrupted", code)
    assert 0 < result["steps"] < 10_000_000
    saved = np.load(tmp_path / "run/parameters.npz")
    assert {name: float(saved[name]) for name in saved} == {k: v["value"] for k, v in result["parameters"].items()}
    assert saved["slope"] != 1
    last = (tmp_path / "run/history.csv").read_text().splitlines()[-1].split(",")
    assert (int(last[0]), float(last[1])) == (result["steps"], result["loss"]["final"])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_stops_at_once_and_leaves_nothing(tmp_path: Path, number: signal.Signals, code: int) -> None:
    written(tmp_path, "long.yaml", LONG)
    process = start(tmp_path)
    while not list(tmp_path.glob("runs/long/*/.lock")):  # before its work the run claims its folder
        time.sleep(0.01)
    process.send_signal(number)
    time.sleep(0.05)
    process.send_signal(number)
    returned, out, err = finish(process)
    assert (returned, out) == (code, "")
    assert "nothing of this run was saved" in err
    assert [path.name for path in tmp_path.iterdir()] == ["long.yaml"]


def test_on_a_terminal_the_live_line_is_gone_at_the_end(tmp_path: Path) -> None:
    written(tmp_path, "long.yaml", LONG)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "fitkit", "train", "long.yaml", "--no-save"],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while seen.count(b"step ") < 3:
        seen += os.read(ours, 1 << 16)
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 130
    try:
        while more := os.read(ours, 1 << 16):
            seen += more
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(ours)
    assert out.startswith("Interrupted after ")
    assert "\x1b" not in out
    assert b"Traceback" not in seen
    assert b"\n" not in seen[: seen.rindex(b"step ")].strip(), "the line is written over, not added to"
    end = seen[seen.rindex(b"step ") :]
    assert b"\x1b[2K" in end, "the line is erased"
    assert b"\x1b[?25h" in end, "the cursor is back"
