"""`fitkit init`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fitkit.cli.terminal import say, tell
from fitkit.errors import Diagnostic, FileSystemFault

if TYPE_CHECKING:
    from fitkit.guess import Guess, Sketch


@click.command("init", short_help="Write a config from a table and a formula, with guessed starts.")
@click.argument("data", metavar="DATA", type=click.Path())
@click.argument("formula", metavar="FORMULA")
@click.option("--out", metavar="FILE", help="Write here instead of to DATA's stem with .yaml; - is standard output.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def command(*, data: str, formula: str, out: str | None, force: bool) -> None:
    """Write a commented config that fits the FORMULA to the table DATA, with starts guessed from the data.

    \b
    fitkit init decay.csv "counts ~ amplitude * exp(-rate * t) + background"

    Names that are columns are inputs, all others are parameters. Those that enter linearly are solved for, the others
    found by a search on the scales of the columns; the same data and formula always give the same config.

    Exit codes: 0 written; 2 usage or formula; 3 data; 7 device or memory missing; 8 the file exists or cannot be written.
    """  # noqa: D301 - \b is click's mark for lines to keep
    if data == "-":
        raise click.BadParameter("the config is to name the table: save it to a file first", param_hint="DATA")
    to_stdout = out == "-"
    path = Path(f"{_stem(data)}.yaml") if out is None or to_stdout else Path(out)
    if not to_stdout:
        _refuse_existing(path, force=force)
    from fitkit.guess import config_text, guess_starts, read_sketch

    sketch = read_sketch(data, formula)
    guess = guess_starts(sketch)
    text = config_text(sketch, guess, Path() if to_stdout else path.parent)
    if to_stdout:
        say(text.removesuffix("\n"))
    else:
        _write(path, text, force=force)
    _tell(sketch, guess, path, written=not to_stdout)


def _stem(data: str) -> str:
    """Return the name of a file without its extensions: decay.csv.gz is decay."""
    name = Path(data).name.removesuffix(".gz")
    return Path(name).stem or "fit"


def _tell(sketch: Sketch, guess: Guess, path: Path, *, written: bool) -> None:
    """Say what a careful colleague would ask, and what comes next."""
    for doubt in sketch.doubts:
        tell(f"note: {doubt}")
    if not guess.found:
        tell("note: no start was found where the model is finite; every parameter starts at 1, change that")
    tell(f"wrote {path}; next: fitkit train {path}" if written else f"save it, and then: fitkit train {path}")


def _refuse_existing(path: Path, *, force: bool) -> None:
    if path.is_dir():
        raise _fault(path, "is a folder", "name a file in it")
    if not force and (path.exists() or path.is_symlink()):
        raise _fault(path, "exists already", "add `--force` to replace it, or choose another `--out`")


def _write(path: Path, text: str, *, force: bool) -> None:
    """Write the file; without `force` only if it is new, even if it came into being a moment ago."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        _refuse_existing(path, force=force)
    except OSError as error:
        raise _fault(path, f"cannot be written: {error.strerror or error}", "choose another `--out`") from None


def _fault(path: Path, reason: str, help_line: str) -> FileSystemFault:
    return FileSystemFault(Diagnostic(code="E801", message=f"`{path}` {reason}", file=str(path), help=help_line))
