"""Ctrl-C and SIGTERM in a batch: it stops within a moment, reports what was done, and leaves nothing behind that runs."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from batches import LINE, python_model
from command import environment, written
from junitparser import JUnitXml


def configs(folder: Path) -> None:
    """Write a fit that ends at once, one that never does, and one that is never begun."""
    written(folder, "a_line.yaml", LINE)
    python_model(folder, "hangs")
    written(folder, "z_line.yaml", LINE)


def begun(folder: Path) -> bool:
    """Return whether the fit that hangs is under way: its run folder is claimed."""
    return (folder / "out/hangs/.lock").exists()


@pytest.mark.parametrize(("number", "code", "jobs"), [(signal.SIGINT, 130, ()), (signal.SIGTERM, 143, ("--jobs", "1"))])
def test_a_signal_stops_even_a_fit_that_hangs_and_what_was_done_is_reported(
    tmp_path: Path, number: signal.Signals, code: int, jobs: tuple[str, ...]
) -> None:
    configs(tmp_path)
    command = ["fitkit", "batch", "a_line.yaml", "hangs.yaml", "z_line.yaml", "--allow-python", "--out", "out", *jobs]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "--junit", "junit.xml"],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not begun(tmp_path) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    told_at = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - told_at < 10, "a second and a half, and what a busy machine adds"
    told = [line for line in err.splitlines() if "of 3 done" not in line]  # a busy machine is told how far it is
    assert (process.returncode, told) == (code, [])
    assert "1 converged, 1 interrupted, 1 not run" in out
    assert "--resume" in out
    cases = {case.name: case for suite in JUnitXml.fromfile(str(tmp_path / "junit.xml")) for case in suite}
    assert [type(one).__name__ for one in cases["z_line"].result] == ["Skipped"]
    assert cases["a_line"].result == []
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"a_line", "batch.jsonl"}
    assert not begun(tmp_path)


def test_on_a_terminal_what_is_under_way_is_shown_and_gone_at_the_end(tmp_path: Path) -> None:
    configs(tmp_path)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "fitkit", "batch", ".", "--allow-python", "--out", "out"],
        cwd=tmp_path, env=environment({"NO_COLOR": "1"}), stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while b"  hangs  " not in seen:
        seen += os.read(ours, 1 << 16)
    process.send_signal(signal.SIGINT)
    try:
        while more := os.read(ours, 1 << 16):
            seen += more
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 130
    text = seen.decode()
    assert "Traceback" not in text
    assert "1 of 3 done" in text
    assert "a_line  converged" in text[: text.index("1 of 3 done")], "results appear as they finish"
    assert text.rindex("\x1b[2K") < text.index("3 fits in"), "what was under way is erased"
    assert "\x1b[?25h" in text, "the cursor is back"
