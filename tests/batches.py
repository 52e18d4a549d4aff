"""Batches that several tests share, and how they are run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from command import Outcome, here, written

POINTS = "data: {values: {x: [0, 1, 2, 3, 4], y: [1, 3, 2, 5, 4]}}\nmodel: y ~ slope * x + offset\n"
LINE = f"{POINTS}parameters: {{slope: 1, offset: 0}}\n"
"""By hand: slope 0.8, offset 1.4, residual sum of squares 3.6."""
DIVERGES = f"{LINE}optimizer: {{kind: sgd, learning_rate: 10, epochs: 100}}\n"
"""The mean square's largest curvature is far above 2/10, so each step overshoots by more than the last."""
TYPO = LINE.replace("slope: 1", "slop: 1")
NO_DATA = "data: gone.csv\nmodel: y ~ a * x\nparameters: {a: 1}\n"
MODELS = """\
import os
import signal
import time


def killed(parameters, inputs):
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(parameters, inputs):
    time.sleep(1000)


def odd(parameters, inputs):
    raise ValueError("odd \\x00\\x1b[31m text " + "0123456789" * 1000)
"""


def python_model(folder: Path, function: str) -> Path:
    """Write a config of a python model that does something bad."""
    written(folder, "models.py", MODELS)
    model = f"{{kind: python, function: models.py:{function}, inputs: [x], target: y}}"
    text = LINE.replace("y ~ slope * x + offset", model)
    return written(folder, f"{function}.yaml", text)


def batch(*arguments: str | Path) -> tuple[Outcome, list[dict[str, Any]]]:
    """Run a batch in this process, and return what it did and its documents."""
    done = here("batch", *arguments, "--json")
    return done, [json.loads(line) for line in done.out.splitlines()]
