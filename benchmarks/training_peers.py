"""What benchmarks/training.py times, each in a process of its own: `python training_peers.py TASK PEER FOLDER`.

Prints a line of JSON: seconds per epoch or per fit and, of a fit, how far above the minimum it ended. The tables are drawn
once into FOLDER, so that all have the same.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, final
from unittest.mock import patch

import numpy as np

Measured = dict[str, Any]

BATCH = {"mlp": 128, "linear": 32}
EPOCHS = {"mlp": 5, "linear": 100}
RATE = 1e-3
SIZE = 1000
ROSENBROCK = """import jax.numpy as jnp


def residuals(parameters, inputs):
    x = parameters["x"] + jnp.tile(jnp.array([-2.2, 0.0]), 500)
    return jnp.concatenate([10 * (x[1:] - x[:-1] ** 2), 1 - x[:-1]])
"""


@final
class Clock:
    """A moment, on the clock of the wall and on that of this process."""

    def __init__(self) -> None:
        self._wall, self._process = time.perf_counter(), time.process_time()

    def until(self, later: Clock, count: int) -> Measured:
        """Return the seconds of each of `count` equal parts: those that passed, and those that this process computed."""
        return {"seconds": (later._wall - self._wall) / count, "cpu": (later._process - self._process) / count}


def draw(folder: Path) -> None:
    """Write the tables: of a perceptron and of a linear model with a tenth of the rows more for validation, of classes."""
    random = np.random.default_rng(0)
    x: Any
    y: Any
    x = random.normal(size=(66_000, 784)).astype(np.float32)
    labels = (np.maximum(x @ random.normal(0, 0.05, (784, 32)), 0) @ random.normal(size=(32, 10))).argmax(axis=1)
    _save(folder, "mlp", 60_000, x, labels.astype(np.float32))
    x = random.normal(size=(110_000, 10)).astype(np.float32)
    y = x @ random.normal(size=10) + 1 + random.normal(0, 0.5, 110_000)
    _save(folder, "linear", 100_000, x, y.astype(np.float32))
    x = random.normal(size=(200_000, 100))
    y = x @ random.normal(0, 0.3, 100) + 0.5 + random.logistic(size=200_000) > 0
    _save(folder, "logistic", 200_000, x, y.astype(float))


def _save(folder: Path, task: str, rows: int, x: Any, y: Any) -> None:
    for name, part in ((task, slice(0, rows)), (f"{task}-validation", slice(rows, None))):
        np.save(folder / f"{name}.npy", np.column_stack([x[part], y[part]]))


def table(folder: Path, name: str) -> tuple[Any, Any]:
    """Return the inputs, shape (rows, inputs), and the target."""
    both = np.load(folder / f"{name}.npy")
    return np.ascontiguousarray(both[:, :-1]), np.ascontiguousarray(both[:, -1])


# -- fitkit -------------------------------------------------------------------------------------------------------------------


def config(folder: Path, task: str) -> dict[str, Any]:
    """Return the task as a config."""
    if task == "rosenbrock":
        (folder / "rosenbrock.py").write_text(ROSENBROCK, encoding="utf-8")
        return {
            "data": {"values": {"i": list(range(2 * SIZE - 2)), "zero": [0] * (2 * SIZE - 2)}},
            "model": {"kind": "python", "function": "rosenbrock.py:residuals", "inputs": ["i"], "target": "zero"},
            "parameters": {"x": {"shape": [SIZE], "start": 1.0}},
            "optimizer": "lbfgs",
            "stopping": {"max_steps": 50_000},
            "uncertainty": "none",
        }
    columns = np.load(folder / f"{task}.npy", mmap_mode="r").shape[1]
    names = [*(f"x{number}" for number in range(columns - 1)), "y"]
    data: dict[str, Any] = {"path": str(folder / f"{task}.npy"), "columns": names}
    model: dict[str, Any] = {"kind": "linear", "inputs": "*", "target": "y"}
    if task == "logistic":
        # The share of the loss that a Newton step would still remove is the square of gtol: of 0.38, 1e-8.
        told = {"stopping": {"gtol": 1.6e-4}, "optimizer": "lbfgs", "uncertainty": "none"}
        return {"data": data, "model": model, "loss": "binary_cross_entropy", **told}
    return {
        "data": data | {"validation": str(folder / f"{task}-validation.npy")},
        "model": model if task == "linear" else model | {"kind": "mlp", "hidden": [256]},
        "loss": "mse" if task == "linear" else "cross_entropy",
        "precision": "float32",
        "optimizer": {"kind": "adam", "batch_size": BATCH[task], "epochs": EPOCHS[task], "learning_rate": RATE},
        "uncertainty": "none",
    }


def with_fitkit(folder: Path, task: str) -> Measured:
    """Time the loop inside `train`: batches, validation after each pass, the rows it shows, and its pauses for signals."""
    from fitkit.config import load
    from fitkit.run.train import TrainOptions, train

    path, shown = folder / f"{task}.yaml", []
    path.write_text(json.dumps(config(folder, task)), encoding="utf-8")
    options = TrainOptions(keep=False, show=lambda row: shown.append((Clock(), row.step)))
    train(load(str(path), ()), options, time.perf_counter())
    (began, first), (ended, last) = shown[0], shown[-1]
    return began.until(ended, last - first)


def with_fitkit_to_the_end(folder: Path, task: str) -> Measured:
    """Time the whole search inside `train`, to its end by its own rule, once its programs are compiled."""
    import jax

    from fitkit.config import load
    from fitkit.minimize import minimize
    from fitkit.run.train import TrainOptions, train

    path, found = folder / f"{task}.yaml", []

    def timed(*given: Any, **named: Any) -> Any:
        # The table is in place for the others too.
        jax.block_until_ready(given)  # type: ignore[no-untyped-call]  # JAX leaves it unannotated
        began = Clock()
        search = minimize(*given, **named)
        found.append(began.until(Clock(), 1) | {"loss": search.final.loss, "steps": search.steps})
        return search

    path.write_text(json.dumps(config(folder, task)), encoding="utf-8")
    with patch("fitkit.run.train.minimize", timed):
        for _ in range(2):
            train(load(str(path), ()), TrainOptions(keep=False, allow_python=True), time.perf_counter())
    return found[-1]


# -- what a person would write ------------------------------------------------------------------------------------------------


def with_bare_jax(folder: Path, task: str) -> Measured:
    """Time one compiled epoch over batches of an order drawn beforehand, and the loss of the validation rows: no shuffling."""
    import jax
    import jax.numpy as jnp
    import optax  # type: ignore[import-untyped]  # it has no types of its own

    x, y = table(folder, task)
    size, rows = BATCH[task], len(y)
    rule, random = optax.adam(RATE), np.random.default_rng(0)
    if task == "mlp":
        shapes = {"w1": (784, 256), "b1": (256,), "w2": (256, 10), "b2": (10,)}
        parameters = {name: random.uniform(-0.05, 0.05, shape).astype(np.float32) for name, shape in shapes.items()}
    else:
        parameters = {"w": np.zeros(10, np.float32), "b": np.zeros((), np.float32)}

    def loss(p: Any, inputs: Any, target: Any) -> Any:
        if task == "linear":
            return jnp.mean((inputs @ p["w"] + p["b"] - target) ** 2)
        logits = jax.nn.relu(inputs @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, target.astype(int)).mean()

    def update(carry: Any, batch: Any) -> Any:
        p, memory, inputs, target = carry
        value, gradient = jax.value_and_grad(loss)(p, inputs[batch], target[batch])
        moves, memory = rule.update(gradient, memory, p)
        return (optax.apply_updates(p, moves), memory, inputs, target), value

    @jax.jit
    def epoch(p: Any, memory: Any, inputs: Any, target: Any, order: Any, held_out: Any) -> Any:
        carry, values = jax.lax.scan(update, (p, memory, inputs, target), order)
        return carry[0], carry[1], values.mean() + loss(carry[0], *held_out)

    held_out = tuple(jnp.asarray(part) for part in table(folder, f"{task}-validation"))
    data, memory = (jnp.asarray(x), jnp.asarray(y)), rule.init(parameters)
    orders = [jnp.asarray(random.permutation(rows)[: rows // size * size].reshape(-1, size)) for _ in range(4)]
    epoch(parameters, memory, *data, orders[0], held_out)[2].block_until_ready()
    began, count = Clock(), max(3, EPOCHS[task] // 2)
    for number in range(count):
        parameters, memory, mean = epoch(parameters, memory, *data, orders[number % 4], held_out)
        mean.block_until_ready()
    return began.until(Clock(), count)


def with_torch(folder: Path, task: str, *, compiled: bool = False) -> Measured:
    """Time torch's loop as it is written for speed: fused Adam, tensors indexed by a permutation, no DataLoader."""
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, y = (torch.from_numpy(part) for part in table(folder, task))
    held_x, held_y = (torch.from_numpy(part) for part in table(folder, f"{task}-validation"))
    if task == "mlp":
        model = torch.nn.Sequential(torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
        y, held_y, cost = y.long(), held_y.long(), torch.nn.functional.cross_entropy
    else:
        model = torch.nn.Sequential(torch.nn.Linear(10, 1), torch.nn.Flatten(0))
        cost = torch.nn.functional.mse_loss
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    forward = torch.compile(model) if compiled else model

    def updates(batches: Any) -> Any:
        total = torch.zeros(())
        for batch in batches:
            optimizer.zero_grad(set_to_none=True)
            value = cost(forward(x[batch]), y[batch])
            value.backward()
            optimizer.step()
            total += value.detach()
        with torch.no_grad():
            return total / len(batches), cost(model(held_x), held_y)

    size = BATCH[task]
    updates(torch.randperm(len(y)).split(size)[:50])
    began, count = Clock(), 3 if task == "mlp" else 1
    for _ in range(count):
        updates(torch.randperm(len(y)).split(size))
    return began.until(Clock(), count)


def with_scipy(folder: Path, task: str, *, jitted: bool = False) -> Measured:
    """Time scipy's L-BFGS-B with value and gradient by numpy, or compiled by JAX, until it is as near as asked."""
    scipy: Any = importlib.import_module("scipy.optimize")
    if task == "rosenbrock":
        began = Clock()
        found = scipy.minimize(
            scipy.rosen,
            np.tile([-1.2, 1.0], SIZE // 2),
            jac=scipy.rosen_der,
            method="L-BFGS-B",
            options=TIGHT | {"ftol": 1e-15},
        )
        return began.until(Clock(), 1) | {"loss": float(found.fun) / (2 * SIZE - 2)}
    x, y = table(folder, task)

    def by_numpy(theta: Any) -> Any:
        logits = x @ theta[1:] + theta[0]
        slope = (1 / (1 + np.exp(-logits)) - y) / len(y)
        return np.mean(np.logaddexp(0, logits) - y * logits), np.concatenate([[slope.sum()], slope @ x])

    evaluate = _jitted(x, y) if jitted else by_numpy
    start = np.zeros(x.shape[1] + 1)
    evaluate(start)
    began = Clock()
    found = scipy.minimize(evaluate, start, jac=True, method="L-BFGS-B", options=TIGHT | {"ftol": 3e-9})
    return began.until(Clock(), 1) | {"loss": float(found.fun)}


TIGHT = {"maxiter": 15_000, "maxfun": 100_000, "gtol": 1e-10}


def _jitted(x: Any, y: Any) -> Callable[[Any], Any]:
    jax: Any = importlib.import_module("jax")
    jnp: Any = importlib.import_module("jax.numpy")
    jax.config.update("jax_enable_x64", True)  # noqa: FBT003 - JAX's own way
    inputs, target = jnp.asarray(x), jnp.asarray(y)

    def loss(theta: Any) -> Any:
        logits = inputs @ theta[1:] + theta[0]
        return jnp.mean(jnp.logaddexp(0, logits) - target * logits)

    both = jax.jit(jax.value_and_grad(loss))

    def evaluate(theta: Any) -> Any:
        value, gradient = both(theta)
        return float(value), np.asarray(gradient)

    return evaluate


def with_sklearn(folder: Path, task: str) -> Measured:
    """Time scikit-learn's logistic regression by `lbfgs`, with the tolerance that comes as near as asked."""
    linear_model: Any = importlib.import_module("sklearn.linear_model")
    x, y = table(folder, task)
    model = linear_model.LogisticRegression(C=np.inf, solver="lbfgs", tol=1e-4, max_iter=1000)
    began = Clock()
    model.fit(x, y)
    taken = began.until(Clock(), 1)
    logits = x @ model.coef_[0] + model.intercept_[0]
    return taken | {"loss": float(np.mean(np.logaddexp(0, logits) - y * logits))}


PEERS: dict[str, Callable[[Path, str], Measured]] = {
    "fitkit": with_fitkit,
    "bare JAX": with_bare_jax,
    "torch": with_torch,
    "torch.compile": partial(with_torch, compiled=True),
    "fitkit lbfgs": with_fitkit_to_the_end,
    "scipy": with_scipy,
    "scipy, jitted": partial(with_scipy, jitted=True),
    "sklearn": with_sklearn,
}


if __name__ == "__main__":
    task, peer, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if task == "draw":
        draw(folder)
    else:
        print(json.dumps(PEERS[peer](folder, task)))
