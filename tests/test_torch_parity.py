"""Linear, logistic and perceptron models follow torch's own modules, losses, optimizers, schedules and clipping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fitting import column, source

from fitkit.backend import jax
from fitkit.minimize import Search, Watch, minimize
from fitkit.models.linear import contrasts
from fitkit.optimizers import Optimizer
from fitkit.optimizers.shuffle import draw_order, order_of_pass, rows_of_batch
from fitkit.run.assemble import assemble

torch: Any = pytest.importorskip("torch")
torch.set_num_threads(1)  # a second one costs more than these rows take

STEPS = 200
RANDOM = np.random.default_rng(8)
X = RANDOM.normal(size=(40, 3))
SIGNAL = X @ np.array([1.5, -1.0, 0.5]) + 0.3
TARGETS = {
    "mse": SIGNAL + RANDOM.normal(0, 0.5, 40),
    "binary_cross_entropy": (SIGNAL + RANDOM.logistic(size=40) > 0).astype(float),
    "cross_entropy": np.digitize(SIGNAL + RANDOM.normal(0, 1.0, 40), [-1.0, 1.0]).astype(float),
}
START = {"intercept": 0.2, "a": -0.4, "b": 0.1, "c": 0.3}

Made = Callable[[list[Any]], Any]
"""Makes an optimizer of torch for parameters."""
OPTIMIZERS: dict[str, tuple[dict[str, Any], Made]] = {
    "sgd": ({"kind": "sgd", "learning_rate": 0.05}, lambda p: torch.optim.SGD(p, lr=0.05)),
    "momentum": (
        {"kind": "sgd", "learning_rate": 0.02, "momentum": 0.9},
        lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9),
    ),
    "nesterov": (
        {"kind": "sgd", "learning_rate": 0.02, "momentum": 0.9, "nesterov": True},
        lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True),
    ),
    "adam": ({"kind": "adam", "learning_rate": 0.02}, lambda p: torch.optim.Adam(p, lr=0.02)),
    "adamw": (
        {"kind": "adamw", "learning_rate": 0.02, "weight_decay": 0.1},
        lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.1),
    ),
    "rmsprop": ({"kind": "rmsprop"}, torch.optim.RMSprop),
    "rmsprop-momentum": (
        {"kind": "rmsprop", "learning_rate": 0.005, "momentum": 0.8},
        lambda p: torch.optim.RMSprop(p, lr=0.005, momentum=0.8),
    ),
    "adagrad": ({"kind": "adagrad", "learning_rate": 0.1}, lambda p: torch.optim.Adagrad(p, lr=0.1)),
}
CLIP = 0.25


class Contrasts(torch.nn.Module):  # type: ignore[misc]  # torch is looked up at run time
    """Logits of three classes from two sets of weights, as a linear model of classes has them."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2, 3, dtype=torch.float64))
        self.bias = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def forward(self, rows: Any) -> Any:
        """Return shape (rows, 3)."""
        spread = torch.tensor(contrasts(3), dtype=torch.float64)
        return torch.nn.functional.linear(rows, self.weight, self.bias) @ spread.T


def criterion(loss: str) -> Callable[[Any, Any], Any]:
    if loss == "mse":
        return lambda output, target: torch.nn.functional.mse_loss(output[:, 0], target)
    if loss == "binary_cross_entropy":
        return lambda output, target: torch.nn.functional.binary_cross_entropy_with_logits(output[:, 0], target)
    return lambda output, target: torch.nn.functional.cross_entropy(output, target.long())


def module(loss: str, *, rotated: bool) -> Any:
    """Return torch's layer with fitkit's start; of classes all sets of weights, or the rotated ones less one."""
    if rotated:
        return Contrasts()
    layer = torch.nn.Linear(3, 3 if loss == "cross_entropy" else 1, dtype=torch.float64)
    with torch.no_grad():
        layer.weight[:] = (
            torch.tensor([START[name] for name in "abc"], dtype=torch.float64) if loss != "cross_entropy" else 0.0
        )
        layer.bias[:] = START["intercept"] if loss != "cross_entropy" else 0.0
    return layer


def by_torch(
    layer: Any,
    cost: Callable[[Any, Any], Any],
    target: Any,
    made: Made,
    *,
    clip: float | None = None,
    scheduled: Callable[[Any], Any] | None = None,
) -> list[float]:
    """Return the loss before each of the updates from all rows."""
    optimizer = made(list(layer.parameters()))
    scheduler = None if scheduled is None else scheduled(optimizer)
    rows, wanted, losses = torch.tensor(X), torch.tensor(target), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = cost(layer(rows), wanted)
        loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(layer.parameters(), clip)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        losses.append(loss.item())
    return losses


def by_fitkit(loss: str, optimizer: dict[str, Any], epochs: int = STEPS) -> Search:
    values = {name: column(X[:, number]) for number, name in enumerate("abc")}
    config = source({
        "data": {"values": values | {"y": column(TARGETS[loss])}},
        "model": {"kind": "linear", "inputs": ["a", "b", "c"], "target": "y"},
        "loss": loss,
        "optimizer": {**optimizer, "epochs": epochs},
        **({} if loss == "cross_entropy" else {"parameters": START}),
    })  # fmt: skip
    assembled, chosen = assemble(config, allow_python=False), config.config.optimizer
    assert isinstance(chosen, Optimizer)
    return minimize(assembled.problem, chosen, config.config.stopping, assembled.start, watch=Watch())


def losses_of(search: Search) -> list[float]:
    return [row.loss for row in search.history][:STEPS]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_linear_regression_follows_torch(name: str) -> None:
    fields, made = OPTIMIZERS[name]
    expected = by_torch(module("mse", rotated=False), criterion("mse"), TARGETS["mse"], made)
    np.testing.assert_allclose(losses_of(by_fitkit("mse", fields)), expected, rtol=1e-9)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_logistic_regression_with_clipping_warm_up_and_a_cosine_follows_torch(name: str) -> None:
    fields, made = OPTIMIZERS[name]

    def scheduled(optimizer: Any) -> Any:
        growing = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=9)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS - 10)
        return torch.optim.lr_scheduler.SequentialLR(optimizer, [growing, falling], milestones=[10])

    loss = "binary_cross_entropy"
    layer = module(loss, rotated=False)
    expected = by_torch(layer, criterion(loss), TARGETS[loss], made, clip=CLIP, scheduled=scheduled)
    found = by_fitkit(loss, {**fields, "clip": CLIP, "schedule": {"kind": "cosine", "warmup": 10}})
    np.testing.assert_allclose(losses_of(found), expected, rtol=1e-9)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_regression_of_classes_with_a_rate_that_drops_follows_torch(name: str) -> None:
    """Gradient descent does not care for a rotation of the weights, so torch has a set for each class there."""
    fields, made = OPTIMIZERS[name]
    loss, rotated = "cross_entropy", fields["kind"] != "sgd"
    layer = module(loss, rotated=rotated)
    scheduled = lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 60, gamma=0.3)  # noqa: E731 - an argument
    expected = by_torch(layer, criterion(loss), TARGETS[loss], made, clip=CLIP, scheduled=scheduled)
    found = by_fitkit(loss, {**fields, "clip": CLIP, "schedule": {"kind": "step", "every": 60, "factor": 0.3}})
    np.testing.assert_allclose(losses_of(found), expected, rtol=1e-9)


def test_minibatches_follow_torch_on_the_same_batches() -> None:
    """The last batch of a pass is smaller; the order of the rows is what the seed says."""
    loss, size, epochs = "binary_cross_entropy", 12, 50
    layer, cost = module(loss, rotated=False), criterion(loss)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    order, expected = jax.tree.map(jax.numpy.asarray, draw_order(40, 0)), []
    rows, target = torch.tensor(X), torch.tensor(TARGETS[loss])
    numbers = jax.jit(lambda number, batch: rows_of_batch(order, order_of_pass(order, number), batch, size))
    for epoch in range(epochs):
        seen = 0.0
        for batch in range(4):
            taken = np.array(numbers(epoch, batch))[: min(size, 40 - batch * size)]
            optimizer.zero_grad()
            value = cost(layer(rows[taken]), target[taken])
            value.backward()
            optimizer.step()
            seen += value.item() * len(taken) / 40
        expected.append(seen)
    found = by_fitkit(loss, {"kind": "adam", "learning_rate": 0.02, "batch_size": size}, epochs)
    np.testing.assert_allclose([row.loss for row in found.history[1:]], expected, rtol=1e-9)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_perceptron_of_classes_follows_torch_from_the_same_start(name: str) -> None:
    fields, made = OPTIMIZERS[name]
    loss = "cross_entropy"
    values = {letter: column(X[:, number]) for number, letter in enumerate("abc")}
    config = source({
        "data": {"values": values | {"y": column(TARGETS[loss])}},
        "model": {"kind": "mlp", "inputs": ["a", "b", "c"], "target": "y", "hidden": [5], "activation": "tanh"},
        "loss": loss,
        "precision": "float64",
        "optimizer": {**fields, "epochs": STEPS, "clip": CLIP, "schedule": {"kind": "step", "every": 60, "factor": 0.3}},
    })  # fmt: skip
    assembled, chosen = assemble(config, allow_python=False), config.config.optimizer
    assert isinstance(chosen, Optimizer)
    layers = [torch.nn.Linear(3, 5, dtype=torch.float64), torch.nn.Linear(5, 3, dtype=torch.float64)]
    start = assembled.problem.values(jax.numpy.asarray(assembled.start))
    with torch.no_grad():
        for number, layer in enumerate(layers, 1):
            layer.weight[:] = torch.tensor(np.array(start[f"weight{number}"]).T)
            layer.bias[:] = torch.tensor(np.array(start[f"bias{number}"]))
    network = torch.nn.Sequential(layers[0], torch.nn.Tanh(), layers[1])
    scheduled = lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 60, gamma=0.3)  # noqa: E731 - an argument
    expected = by_torch(network, criterion(loss), TARGETS[loss], made, clip=CLIP, scheduled=scheduled)
    found = minimize(assembled.problem, chosen, config.config.stopping, assembled.start, watch=Watch())
    np.testing.assert_allclose(losses_of(found), expected, rtol=1e-9)
