"""Tables of groups in memory, as the batch takes them, without the way through files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from fitting import assembled, column
from numpy.typing import NDArray

from fitkit.grouped import Alone, Groups
from fitkit.grouped.one import problem_of
from fitkit.input_matrix import InputMatrix
from fitkit.optimizers import Automatic, Stopping
from fitkit.problem import Problem, RowData
from fitkit.run.one_group import single_fitter
from fitkit.uncertainty import Covariance

Vector = NDArray[np.float64]
DECAY: dict[str, Any] = {"model": "y ~ a * exp(-k * x) + c", "parameters": {"a": 4, "k": 1, "c": 0}}
PEAK: dict[str, Any] = {
    "model": "y ~ a * exp(-((x - b) / c)**2 / 2) + d",
    "parameters": {"a": 4, "b": 0, "c": 1, "d": 0},
}
ALONE = single_fitter(Automatic(), Stopping(), Covariance())


def decays(
    lengths: Sequence[int] | NDArray[Any], noise: float = 0.1, seed: int = 0
) -> tuple[list[Vector], list[Vector]]:
    """Return x and y of noisy decays, one for each length."""
    random = np.random.default_rng(seed)
    x = [np.linspace(0, 5, length) for length in lengths]
    y = []
    for at in x:
        a, k, c = 5 + random.uniform(-2, 2), random.uniform(0.5, 2), 1 + 0.3 * random.normal()
        y.append(a * np.exp(-k * at) + c + noise * random.normal(size=len(at)))
    return x, y


def peaks(
    lengths: Sequence[int] | NDArray[Any], noise: float = 0.2, seed: int = 0
) -> tuple[list[Vector], list[Vector]]:
    """Return x and y of noisy Gaussian peaks, one for each length."""
    random = np.random.default_rng(seed)
    x = [np.linspace(-5, 5, length) for length in lengths]
    y = []
    for at in x:
        a, b, c = 5 + random.uniform(-2, 2), random.uniform(-1.5, 1.5), random.uniform(0.7, 1.5)
        y.append(a * np.exp(-(((at - b) / c) ** 2) / 2) + 1 + noise * random.normal(size=len(at)))
    return x, y


def table(
    config: Mapping[str, Any],
    x: Sequence[Vector],
    y: Sequence[Vector],
    sigma: Sequence[Vector] | None = None,
    weights: Sequence[Vector] | None = None,
) -> tuple[Problem, Groups]:
    """Return what a config over groups of rows is to the batch."""
    offsets = np.concatenate([[0], np.cumsum([len(at) for at in x])])
    full = max(range(len(x)), key=lambda group: len(x[group]))
    data: dict[str, Any] = {"values": {"x": column(x[full]), "y": column(y[full])}}
    if sigma is not None:
        data["values"]["s"], data["sigma"] = column(sigma[full]), "s"
    if weights is not None:
        data["values"]["w"], data["weights"] = column(weights[full]), "w"
    ready = assembled({**config, "data": data})
    columns: Any = np.concatenate(x)
    as_matrix = ready.problem.rows is not None and isinstance(ready.problem.rows.inputs, InputMatrix)
    rows = RowData(
        inputs=InputMatrix(("x",), columns[:, None]) if as_matrix else {"x": columns},
        target=np.concatenate(y),  # type: ignore[arg-type]  # the host's arrays, as the batch takes them
        sigma=None if sigma is None else np.concatenate(sigma),  # type: ignore[arg-type]  # same
        weight=np.ones(offsets[-1]) if weights is None else np.concatenate(weights),  # type: ignore[arg-type]  # same
    )
    return ready.problem, Groups(rows=rows, offsets=offsets, start=np.tile(ready.start, (len(x), 1)))


def alone(problem: Problem, groups: Groups, group: int) -> Alone:
    """Return what a single fit makes of a group."""
    with np.errstate(all="ignore"):
        return ALONE(problem_of(problem, groups, group), groups.start[group])
