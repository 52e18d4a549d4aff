"""How the benchmarks time commands: whole processes, in turn, and the median of several rounds."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

ROOT = Path(__file__).resolve().parents[1]


@final
@dataclass(frozen=True, kw_only=True)
class Command:
    """A process to time, under the name that the table shows."""

    name: str
    arguments: tuple[str, ...]


class CommandFailed(Exception):  # noqa: N818 - named for what happened
    """A timed command ended with an exit code other than 0, so its time means nothing."""


def python(code: str) -> Command:
    """Return the command that runs `code` in this interpreter, as a yardstick."""
    return Command(name=f'python -c "{code}"', arguments=(sys.executable, "-c", code))


def fitkit(name: str, *arguments: str) -> list[Command]:
    """Return `fitkit ARGUMENTS` as a module and, where it is installed beside this interpreter, as a console script."""
    commands = [Command(name=f"python -m fitkit {name}", arguments=(sys.executable, "-m", "fitkit", *arguments))]
    script = Path(sys.executable).parent / "fitkit"
    if script.exists():
        commands.append(Command(name=f"fitkit {name}", arguments=(str(script), *arguments)))
    return commands


def seconds(command: Command, folder: Path) -> float:
    """Run a command in `folder` and return its wall time in seconds, from its start to its end.

    Raises:
        CommandFailed: its exit code is not 0.
    """
    # The checkout comes first on the path, so that the source that stands here is timed, installed or not.
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    # An installed package has its bytecode beside it; the yardsticks have theirs, and the checkout writes it at the first run.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    done = subprocess.run(command.arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - began
    if done.returncode != 0:
        told = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        raise CommandFailed(f"{command.name} ended with exit code {done.returncode}: {told[-1]}")
    return elapsed


def alternate(commands: Sequence[Command], rounds: int) -> dict[str, list[float]]:
    """Run all commands once to fill the caches, then in turn for `rounds` rounds; return their seconds by name.

    Taking turns lets a slow minute of the machine fall on all of them alike. The commands run in an empty folder, which
    is removed afterwards with whatever they saved there.

    Raises:
        CommandFailed: one of them failed.
    """
    times: dict[str, list[float]] = {command.name: [] for command in commands}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds + 1):
            for command in commands:
                elapsed = seconds(command, Path(folder))
                if turn:
                    times[command.name].append(elapsed)
    return times


def verdict(value: float, bound: float) -> str:
    """Return how a figure stands to its bound, in a word."""
    return "ok" if value <= bound else "OVER"


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of text in columns, the first aligned left, the others right."""
    table = [tuple(header), *map(tuple, rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    for row in table:
        numbers = "  ".join(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        print(f"{row[0].ljust(widths[0])}  {numbers}")
