"""What a gradient costs: fitkit's, as `check-grad --verbose` tells it, beside torch's, in one run.

    python benchmarks/cheap_gradient.py [ROUNDS]

Python models in float64 on 10,000 rows of 10 inputs: a Gaussian mixture (ADBench's, d = 10, K = 25), as it is usually
written and, in both, with its squares multiplied out; a linear model under least squares, log-sum-exp, and a network of
three layers. Asked: on the mixture at most 0.75 of torch's time for the value and the gradient; on the others at most 5
times the time of the value. Both take turns, each in a process of its own, and each tells its best call of a round; the table
shows the median over the rounds.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import yaml
from timing import ROOT, print_table, verdict

ROWS, INPUTS = 10_000, 10
HERE = Path(__file__).parent
TIMES = re.compile(r"value ([0-9.e+-]+) s, value and gradient ([0-9.e+-]+) s")
MODELS: dict[str, dict[str, list[int]]] = {
    "gaussian_mixture": {"alpha": [25], "mean": [25, 10], "logs": [25, 10], "low": [25, 45]},
    "gaussian_mixture_expanded": {"alpha": [25], "mean": [25, 10], "logs": [25, 10], "low": [25, 45]},
    "least_squares": {"w": [10]},
    "log_sum_exp": {"w": [10, 100]},
    "network": {"w1": [10, 80], "b1": [80], "w2": [80, 80], "b2": [80], "w3": [80]},
}
MIXTURE_LOSS = {"kind": "expression", "expression": "target - prediction"}
LOSSES = {"gaussian_mixture": MIXTURE_LOSS, "gaussian_mixture_expanded": MIXTURE_LOSS}


def write_config(folder: Path, model: str) -> Path:
    """Write a config of `model` with its data in `folder`, and return its path."""
    random = np.random.default_rng(0)
    columns = {f"x{i}": random.normal(size=ROWS) for i in range(INPUTS)}
    np.savez(folder / "table.npz", allow_pickle=False, y=random.normal(size=ROWS), **columns)
    (folder / "models.py").write_text((HERE / "cheap" / "models.py").read_text())
    config = {
        "data": "table.npz",
        "model": {"kind": "python", "function": f"models.py:{model}", "inputs": list(columns), "target": "y"},
        "parameters": {name: {"shape": shape, "start": {"normal": 0.1}} for name, shape in MODELS[model].items()},
        "loss": LOSSES.get(model, "mse"),
    }
    path = folder / f"{model}.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def seconds(*command: str) -> tuple[float, float]:
    """Run a command that prints its times, and return the seconds of the value, and of the value and the gradient."""
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    found = TIMES.search(done.stdout)
    if found is None:
        raise SystemExit(f"{' '.join(command)} told no times: {(done.stderr or done.stdout)[-500:]}")
    return float(found[1]), float(found[2])


def main(rounds: int) -> None:
    """Print the table."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for model in MODELS:
            config = str(write_config(Path(name), model))
            check = (
                "-m",
                "fitkit",
                "check-grad",
                config,
                "--allow-python",
                "--verbose",
                "--at",
                "start",
                "--budget",
                "1",
            )
            ours, theirs = [], []
            for _ in range(rounds):
                ours.append(seconds(*check))
                theirs.append(seconds(str(HERE / "cheap" / "in_torch.py"), model))
            value, gradient = (median(column) for column in zip(*ours, strict=True))
            torch = median(both for _, both in theirs)
            asked = ("of torch", gradient / torch, 0.75) if model in LOSSES else ("of the value", gradient / value, 5.0)
            times = (f"{1e3 * t:.2f}" for t in (value, gradient, torch))
            ratios = (f"{gradient / value:.2f}", f"{gradient / torch:.2f}")
            rows.append([model, *times, *ratios, f"<= {asked[2]} {asked[0]}", verdict(asked[1], asked[2])])
    print_table(["ms", "value", "gradient", "torch's", "to value", "to torch", "asked", ""], rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
