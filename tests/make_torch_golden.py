"""Write golden/torch_trajectories.json: what torch's optimizers do, step by step, for the tests to compare with.

Run it by hand where torch is installed; the tests only read what it wrote:

    python3 -m venv torch-venv && torch-venv/bin/pip install torch==2.13.0 numpy
    torch-venv/bin/python tests/make_torch_golden.py

Everything is in float64, full-batch and without weight decay. For each problem and optimizer, `loss[k]` is the mean
squared error before step k + 1 and `parameters[name][k]` the value after it. Fields of optimizers have fitkit's names.
"""

from __future__ import annotations

import importlib
import json
import math
import platform
import random
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

torch: Any = importlib.import_module(
    "torch"
)  # by name: the development environment, where this is type-checked, has none

STEPS = 100
TARGET = Path(__file__).resolve().parent / "golden" / "torch_trajectories.json"


def relaxation() -> dict[str, list[float]]:
    """Twenty points of 2 exp(-0.7 x) + 0.5 with errors of 0.05, to four digits."""
    source, normal = random.Random(7), NormalDist()  # noqa: S311 - a repeatable table, not a secret
    x = [0.25 * i for i in range(20)]
    return {"x": x, "y": [round(2 * math.exp(-0.7 * v) + 0.5 + 0.05 * normal.inv_cdf(source.random()), 4) for v in x]}


PROBLEMS: dict[str, dict[str, Any]] = {
    "line": {
        "formula": "y ~ w * x + b",
        "values": {"x": [1.0, 2.0, 3.0], "y": [0.0, 1.0, 2.0]},
        "start": {"w": 0.0, "b": 0.0},
    },
    "relaxation": {
        "formula": "y ~ a * exp(-k * x) + c",
        "values": relaxation(),
        "start": {"a": 1.0, "k": 0.3, "c": 0.1},
    },
}

PREDICTIONS: dict[str, Callable[[dict[str, Any], Any], Any]] = {
    "line": lambda p, x: p["w"] * x + p["b"],
    "relaxation": lambda p, x: p["a"] * torch.exp(-p["k"] * x) + p["c"],
}

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"kind": "sgd", "learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
    "sgd_momentum": {"kind": "sgd", "learning_rate": 0.01, "momentum": 0.9, "nesterov": False},
    "sgd_nesterov": {"kind": "sgd", "learning_rate": 0.01, "momentum": 0.9, "nesterov": True},
    "adam": {"kind": "adam", "learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    "adam_other": {"kind": "adam", "learning_rate": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3},
}


def build(fields: dict[str, Any], parameters: list[Any]) -> Any:
    """Return torch's optimizer for fields with fitkit's names; dampening and weight decay stay zero."""
    if fields["kind"] == "sgd":
        momentum, nesterov = fields["momentum"], fields["nesterov"]
        return torch.optim.SGD(parameters, lr=fields["learning_rate"], momentum=momentum, nesterov=nesterov)
    betas = (fields["beta1"], fields["beta2"])
    return torch.optim.Adam(parameters, lr=fields["learning_rate"], betas=betas, eps=fields["epsilon"])


def trajectory(problem: str, optimizer: str) -> dict[str, Any]:
    """Train for `STEPS` full-batch steps and return the losses before and the parameters after each."""
    definition = PROBLEMS[problem]
    x, y = (torch.tensor(definition["values"][name], dtype=torch.float64) for name in ("x", "y"))
    start = definition["start"]
    parameters = {name: torch.tensor(v, dtype=torch.float64, requires_grad=True) for name, v in start.items()}
    stepper = build(OPTIMIZERS[optimizer], list(parameters.values()))
    losses: list[float] = []
    path: dict[str, list[float]] = {name: [] for name in start}
    for _ in range(STEPS):
        stepper.zero_grad()
        loss = torch.nn.functional.mse_loss(PREDICTIONS[problem](parameters, x), y)
        loss.backward()
        stepper.step()
        losses.append(loss.item())
        for name, tensor in parameters.items():
            path[name].append(tensor.item())
    return {"problem": problem, "optimizer": optimizer, "loss": losses, "parameters": path}


def check_closed_form(run: dict[str, Any]) -> None:
    """Compare gradient descent on the line with theta_t = minimum + (1 - 0.01 H)^t (theta_0 - minimum), H its Hessian.

    Raises:
        AssertionError: torch does not do what the mathematics say.
    """
    printed = [0.375566, 0.207273, 0.183188, 0.173213, 0.164942, 0.157178, 0.149790, 0.142751, 0.136042, 0.129648]
    u, v = -1.0, 1.0  # (w, b) less the minimum (1, -1)
    for step in range(STEPS):
        loss = (14 * u * u + 12 * u * v + 3 * v * v) / 3
        assert math.isclose(run["loss"][step], loss, rel_tol=1e-13), (step, run["loss"][step], loss)
        if step % 10 == 9:
            assert abs(loss - printed[step // 10]) <= 5.01e-7, (step, loss)
        u, v = u - 0.01 * (28 * u + 12 * v) / 3, v - 0.01 * (4 * u + 2 * v)
    end = {name: values[-1] for name, values in run["parameters"].items()}
    assert abs(end["w"] - 0.5828062) <= 5.01e-8, end
    assert abs(end["b"] + 0.0516303) <= 5.01e-8, end


def main() -> None:
    """Compute all trajectories, check the one with a closed form, and write the file with a line for each."""
    runs = [trajectory(problem, optimizer) for problem in PROBLEMS for optimizer in OPTIMIZERS]
    check_closed_form(runs[0])
    header = {
        "about": (
            "Written by tests/make_torch_golden.py. Mean squared error in float64, full-batch, no weight decay, every "
            "parameter free. loss[k] is the loss before step k + 1, parameters[name][k] the value after it."
        ),
        "versions": {"torch": str(torch.__version__), "python": platform.python_version()},
        "steps": STEPS,
        "loss": "mse",
        "problems": PROBLEMS,
        "optimizers": OPTIMIZERS,
    }
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in header.items()]
    body = ",\n".join(f"  {json.dumps(run, separators=(',', ':'))}" for run in runs)
    TARGET.write_text("{\n" + ",\n".join(lines) + ',\n "trajectories": [\n' + body + "\n ]\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
