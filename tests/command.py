"""The real command in its own process: its exit code, standard output and standard error, and never a traceback."""

from __future__ import annotations

import gc
import io
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import final

import pytest

ROOT = Path(__file__).resolve().parent.parent

LINE = """\
data: {values: {x: [0, 1, 2, 3, 4], y: [1, 3, 2, 5, 4]}}
model: y ~ slope * x + offset
parameters: {slope: 1, offset: 0}
"""
"""By hand: Sxx = 10, Sxy = 8, Syy = 10, so slope 0.8, offset 1.4, rss 3.6 on 3 degrees of freedom, R² 0.64."""

LONG = """\
data: {values: {x: [0, 1, 2, 3, 4], y: [1, 3, 2, 5, 4]}}
model: y ~ slope * x + offset
parameters: {slope: 1, offset: 0}
optimizer: {kind: adam, learning_rate: 1e-9, epochs: 10000000}
"""
"""Runs for minutes, unless it is stopped."""


@final
@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment that does not depend on the tester's terminal and finds this checkout first."""
    dropped = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "LC_CTYPE", "LANG", "PYTHONIOENCODING", "PYTHONUTF8"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, "LC_ALL": "C.UTF-8", "TERM": "xterm", "PYTHONPATH": str(ROOT), **(changes or {})}


def fitkit(
    *arguments: str | Path, cwd: Path = ROOT, stdin: str | None = None, changes: Mapping[str, str] | None = None
) -> Outcome:
    """Run `python -m fitkit` with `arguments` to its end."""
    return python("-m", "fitkit", *map(str, arguments), cwd=cwd, stdin=stdin, changes=changes)


def here(*arguments: str | Path, cwd: Path | None = None) -> Outcome:
    """Run the command with `arguments` in this process, where what is compiled and imported is kept."""
    from fitkit.cli.main import main

    out, err, thresholds, before = io.StringIO(), io.StringIO(), gc.get_threshold(), sys.argv
    sys.argv = ["fitkit", *map(str, arguments)]
    try:
        with (
            chdir(cwd or Path.cwd()),
            warnings.catch_warnings(),
            redirect_stdout(out),
            redirect_stderr(err),
            pytest.raises(SystemExit) as left,
        ):
            main()
    finally:
        sys.argv = before
        gc.set_threshold(*thresholds)
    assert "Traceback" not in out.getvalue() + err.getvalue(), err.getvalue()
    return Outcome(code=int(left.value.code or 0), out=out.getvalue(), err=err.getvalue())


def python(
    *arguments: str, cwd: Path = ROOT, stdin: str | None = None, changes: Mapping[str, str] | None = None
) -> Outcome:
    """Run Python with `arguments` to its end."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment(changes),
        input="" if stdin is None else stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return Outcome(code=done.returncode, out=done.stdout, err=done.stderr)


def written(folder: Path, name: str, text: str) -> Path:
    """Write a file, and return its path."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
