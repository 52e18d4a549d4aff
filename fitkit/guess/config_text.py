"""The guess as a config: valid, runnable, and commented."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Final

from fitkit.guess.guess import Guess
from fitkit.guess.sketch import Sketch
from fitkit.yaml_text.write import dump

_WIDTH: Final = 78


def config_text(sketch: Sketch, guess: Guess, folder: Path) -> str:
    """Return the YAML of a config that stands in `folder`."""
    path = sketch.path_from(folder)
    parts = [
        _comment("Written by `fitkit init`. Paths are relative to this file; `fitkit schema` describes every key."),
        "\n",
        _table(sketch, guess),
        dump({"data": path}),
        _scatter(sketch, path),
        "\n",
        _comment("Names that are columns are inputs, all others are parameters."),
        dump({"model": " ".join(sketch.equation.source.split())}),
        "\n",
        _quality(guess),
        _comment("Other ways to write a parameter:"),
        "#   {start: 1, min: 0, max: 10}, {start: 1, scale: log},\n",
        "#   {start: 1, fixed: true}, {equals: log(2) / rate}\n",
        "parameters:\n",
        _starts(sketch, guess),
        "\n",
        _comment("Defaults that are often changed:"),
        "# loss: {kind: huber, delta: 1}   # where a few rows are outliers\n",
        "# optimizer: lm                   # `fitkit list optimizers`\n",
        "# uncertainty: {kind: covariance, level: 0.95}\n",
    ]
    return "".join(parts)


def _comment(sentence: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(sentence, _WIDTH, break_long_words=False))


def _printable(name: str) -> str:
    """Return a column's name as it may stand in a comment: a line end in it would end the comment."""
    return "".join(character if character.isprintable() else " " for character in name)


def _table(sketch: Sketch, guess: Guess) -> str:
    said = f"{guess.rows} row{'s'[: guess.rows - 1]}."
    if sketch.unused:
        listed = ", ".join(_printable(name) for name in sketch.unused[:20])
        said += f" Columns that are not used: {listed}{', ...' if len(sketch.unused) > 20 else ''}."
    return _comment(said)


def _scatter(sketch: Sketch, path: str) -> str:
    """Suggest the column that looks like standard errors."""
    if sketch.scatter is None:
        return ""
    section = dump({"data": {"path": path, "sigma": sketch.scatter}})
    said = (
        f"The column {_printable(sketch.scatter)} looks like the standard error of the target. If it is, write instead:"
    )
    return _comment(said) + "".join(f"# {line}\n" for line in section.splitlines())


def _quality(guess: Guess) -> str:
    if not guess.found:
        return _comment("No start was found where the model is finite: these are placeholders, change them.")
    if guess.r_squared is None:
        return _comment("Starts guessed from the data.")
    return _comment(f"Starts guessed from the data; they explain {_share(guess.r_squared)} of the target's variance.")


def _share(r_squared: float) -> str:
    return "nothing" if r_squared <= 0 else f"{100 * r_squared:.4g} %"


def _starts(sketch: Sketch, guess: Guess) -> str:
    lines = [dump({"parameters": {name: _number(guess.starts[name])}}).splitlines()[1] for name in sketch.parameters]
    width = max(map(len, lines))
    notes = ["  # enters linearly" if name in guess.linear and guess.found else "" for name in sketch.parameters]
    return "".join(f"{line:{width}}{note}".rstrip() + "\n" for line, note in zip(lines, notes, strict=True))


def _number(value: float) -> float | int:
    return int(value) if value == int(value) and abs(value) < 1e6 else value
