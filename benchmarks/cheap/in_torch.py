"""The same models in torch: prints the seconds of a value, and of a value with its gradient, the best of twenty calls."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
ROWS, INPUTS = 10_000, 10
DIMENSIONS, COMPONENTS = 10, 25
BELOW = np.tril_indices(DIMENSIONS, -1)
PAIRS = np.triu_indices(DIMENSIONS)
TWICE = torch.tensor(np.where(PAIRS[0] == PAIRS[1], 1.0, 2.0))
RANDOM = np.random.default_rng(0)
X = torch.tensor(RANDOM.normal(size=(ROWS, INPUTS)))
Y = torch.tensor(RANDOM.normal(size=ROWS))


def leaf(*shape: int) -> torch.Tensor:
    """Return parameters to differentiate by."""
    return torch.tensor(0.1 * RANDOM.normal(size=shape), requires_grad=True)


def gaussian_mixture() -> tuple[list[torch.Tensor], Callable[[], torch.Tensor]]:
    """Return the parameters and the mean negative log density."""
    alpha, mean, logs, low = leaf(25), leaf(25, 10), leaf(25, 10), leaf(25, 45)

    def value() -> torch.Tensor:
        roots = torch.zeros(COMPONENTS, DIMENSIONS, DIMENSIONS)
        roots[:, BELOW[0], BELOW[1]] = low
        roots = roots + torch.diag_embed(torch.exp(logs))
        shift = torch.einsum("kij,kj->ki", roots, mean).reshape(-1)
        z = (X @ roots.reshape(-1, DIMENSIONS).T - shift).reshape(-1, COMPONENTS, DIMENSIONS)
        inner = alpha + logs.sum(1) - 0.5 * (z * z).sum(2)
        return (Y - (torch.logsumexp(inner, 1) - torch.logsumexp(alpha, 0))).mean()

    return [alpha, mean, logs, low], value


def gaussian_mixture_expanded() -> tuple[list[torch.Tensor], Callable[[], torch.Tensor]]:
    """Return the parameters and the mean negative log density with its squares multiplied out."""
    alpha, mean, logs, low = leaf(25), leaf(25, 10), leaf(25, 10), leaf(25, 45)

    def value() -> torch.Tensor:
        roots = torch.zeros(COMPONENTS, DIMENSIONS, DIMENSIONS)
        roots[:, BELOW[0], BELOW[1]] = low
        roots = roots + torch.diag_embed(torch.exp(logs))
        precision = torch.einsum("kij,kil->kjl", roots, roots)
        linear = torch.einsum("kij,kj->ki", precision, mean)
        constant = alpha + logs.sum(1) - 0.5 * (linear * mean).sum(1)
        weights = torch.cat([-0.5 * TWICE * precision[:, PAIRS[0], PAIRS[1]], linear, constant[:, None]], 1)
        features = torch.cat([X[:, PAIRS[0]] * X[:, PAIRS[1]], X, torch.ones(ROWS, 1)], 1)
        return (Y - (torch.logsumexp(features @ weights.T, 1) - torch.logsumexp(alpha, 0))).mean()

    return [alpha, mean, logs, low], value


def least_squares() -> tuple[list[torch.Tensor], Callable[[], torch.Tensor]]:
    """Return the weights and the mean squared error."""
    w = leaf(INPUTS)
    return [w], lambda: torch.mean((X @ w - Y) ** 2)


def log_sum_exp() -> tuple[list[torch.Tensor], Callable[[], torch.Tensor]]:
    """Return the weights and the mean squared error of the log-sum-exp."""
    w = leaf(INPUTS, 100)
    return [w], lambda: torch.mean((torch.logsumexp(X @ w, 1) - Y) ** 2)


def network() -> tuple[list[torch.Tensor], Callable[[], torch.Tensor]]:
    """Return the weights of three layers and the mean squared error."""
    w1, b1, w2, b2, w3 = leaf(INPUTS, 80), leaf(80), leaf(80, 80), leaf(80), leaf(80)
    return [w1, b1, w2, b2, w3], lambda: torch.mean((torch.tanh(torch.tanh(X @ w1 + b1) @ w2 + b2) @ w3 - Y) ** 2)


def best(call: Callable[[], None]) -> float:
    """Return the seconds of the fastest of twenty calls."""
    times = []
    for _ in range(21):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def main(model: str) -> None:
    """Time one model."""
    known = (gaussian_mixture, gaussian_mixture_expanded, least_squares, log_sum_exp, network)
    leaves, value = {f.__name__: f for f in known}[model]()

    def plain() -> None:
        with torch.no_grad():
            value()

    def both() -> None:
        torch.autograd.grad(value(), leaves)

    print(f"value {best(plain):.6g} s, value and gradient {best(both):.6g} s")


if __name__ == "__main__":
    main(sys.argv[1])
