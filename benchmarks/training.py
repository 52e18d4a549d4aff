"""How fast fitkit trains, beside torch, scipy and scikit-learn.

    python benchmarks/training.py [--rounds 3] [--tasks mlp linear logistic rosenbrock]

- mlp: a perceptron of 784, 256 and 10 units, 60,000 rows, batches of 128, Adam, float32: seconds per epoch, on one core.
- linear: linear regression, 100,000 rows, 10 inputs, batches of 32, Adam, float32: seconds per epoch, on one core.
- logistic: 200,000 rows, 100 inputs, L-BFGS to within 1e-8 of the lowest loss: seconds per search, on all cores. fitkit's
  include that the exact derivatives confirm the end; the report's Hessian and standard errors, which no other makes, not.
- rosenbrock: 1,000 parameters, L-BFGS: seconds per fit, on one core.

fitkit's seconds are those of the loop inside `train`, with batches drawn anew, validation by a tenth of the rows more after
each epoch, rows of progress, and pauses in which signals are heard. torch validates too, and so does `bare JAX`: one compiled
epoch in an order that was drawn beforehand, without the rest of that. Each runs in a process of its own, pinned where the
task says so, in turn for several rounds; programs are compiled before the clock starts. The table has medians, and the
seconds that the process computed, which tell more on a machine that is busy. Exits with 1 if a bound is exceeded; what is not
installed is passed over, and said to be.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, final

from timing import ROOT, print_table, verdict

PEERS = Path(__file__).with_name("training_peers.py")
MODULES = {"torch": "torch", "torch.compile": "torch", "scipy": "scipy", "scipy, jitted": "scipy", "sklearn": "sklearn"}
NEAR = 1e-8
"""How far above the lowest loss a fit may end to count."""


@final
@dataclass(frozen=True, kw_only=True)
class Comparison:
    """fitkit beside others at one task: the bound is on the ratio of its seconds to those of the best of them."""

    task: str
    ours: str
    others: tuple[str, ...]
    bound: float
    bare: str | None = None
    one_core: bool = False


COMPARISONS = (
    Comparison(
        task="mlp", ours="fitkit", others=("torch", "torch.compile"), bound=0.85, bare="bare JAX", one_core=True
    ),
    Comparison(task="linear", ours="fitkit", others=("torch",), bound=1 / 50, bare="bare JAX", one_core=True),
    Comparison(task="logistic", ours="fitkit lbfgs", others=("scipy", "scipy, jitted", "sklearn"), bound=0.75),
    Comparison(task="rosenbrock", ours="fitkit lbfgs", others=("scipy",), bound=0.25, one_core=True),
)
OVERHEAD = 1.1
"""How many times the seconds of the bare epoch the whole loop may take."""


def measure(task: str, peer: str, folder: Path, core: int | None) -> dict[str, Any] | None:
    """Return what a process of its own measures, on one core if one is named; None where it fails."""
    pin: Callable[[], None] | None = None
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
    if core is not None and hasattr(os, "sched_setaffinity"):
        pin = partial(os.sched_setaffinity, 0, {core})
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(PEERS), task, peer, str(folder)]
    done = subprocess.run(command, env=environment, preexec_fn=pin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"{task}: {peer} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(comparison: Comparison, folder: Path, rounds: int) -> bool:
    """Measure one task, print its table, and return whether fitkit keeps its bound."""
    peers = [comparison.ours, *filter(None, [comparison.bare]), *comparison.others]
    for peer in [peer for peer in peers if peer in MODULES and importlib.util.find_spec(MODULES[peer]) is None]:
        print(f"{peer} is not installed, and was passed over")
        peers.remove(peer)
    core = max(os.sched_getaffinity(0)) if comparison.one_core and hasattr(os, "sched_getaffinity") else None
    found: dict[str, list[dict[str, Any]]] = {peer: [] for peer in peers}
    for _ in range(rounds):
        for peer in list(found):
            told = measure(comparison.task, peer, folder, core)
            if told is None:
                del found[peer]
            else:
                found[peer].append(told)
    if comparison.ours not in found:
        return False
    return _told(comparison, found)


def _told(comparison: Comparison, found: dict[str, list[dict[str, Any]]]) -> bool:
    """Print the table of a task and its ratios, and return whether the bound is kept."""
    seconds = {peer: median(each["seconds"] for each in told) for peer, told in found.items()}
    computed = {peer: median(each["cpu"] for each in told) for peer, told in found.items()}
    losses = {peer: told[-1]["loss"] for peer, told in found.items() if "loss" in told[-1]}
    lowest = min(losses.values(), default=0.0)
    rows = []
    for peer in found:
        gap = f"{losses[peer] - lowest:.0e}" if losses else ""
        ratios = (f"{times[comparison.ours] / times[peer]:.3f}" for times in (seconds, computed))
        rows.append((peer, f"{seconds[peer]:.4f}", f"{computed[peer]:.4f}", *ratios, gap))
    print(f"\n{comparison.task}{', one core' if comparison.one_core else ''}")
    print_table(("", "seconds", "computed", "fitkit's share", "of computed", "above lowest"), rows)
    near = [peer for peer in comparison.others if peer in found and losses.get(peer, lowest) - lowest <= NEAR]
    kept: bool = losses.get(comparison.ours, lowest) - lowest <= NEAR
    if near:
        best = min(near, key=lambda peer: seconds[peer])
        ratio = seconds[comparison.ours] / seconds[best]
        kept = kept and ratio <= comparison.bound
        told = verdict(ratio, comparison.bound)
        print(f"fitkit takes {ratio:.3f} of the time of {best} (bound {comparison.bound:g}: {told})")
    if comparison.bare in seconds:
        over = seconds[comparison.ours] / seconds[comparison.bare]
        print(f"the whole loop takes {over:.2f} of a bare epoch (bound {OVERHEAD:g}: {verdict(over, OVERHEAD)})")
    return kept


def main() -> int:
    """Run what is asked for and return the exit code."""
    parser = argparse.ArgumentParser(description="Time training and L-BFGS beside torch, scipy and scikit-learn.")
    parser.add_argument("--rounds", type=int, default=3, help="timed processes of each")
    parser.add_argument("--tasks", nargs="+", default=[each.task for each in COMPARISONS])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, str(PEERS), "draw", "", folder], check=True)
        kept = [compare(each, Path(folder), max(1, asked.rounds)) for each in COMPARISONS if each.task in asked.tasks]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
