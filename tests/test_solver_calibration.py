"""Error bars mean what they say: over many simulated fits, intervals cover the truth as often as their level promises.

The pull (estimate - truth) / error follows Student's t where the residuals tell the scale, and the normal law where it is
known; by way of its probability it becomes a normal number either way. Noise is small enough beside the curvature of the
models that what bends their laws lies below what this many fits can see.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, final

import numpy as np
import pytest
from fitting import assembled, column
from numpy.typing import NDArray
from scipy import stats

from fitkit.backend import array
from fitkit.evidence import assess
from fitkit.minimize import Watch, minimize
from fitkit.optimizers import Optimizer, Stopping
from fitkit.optimizers.lm import LevenbergMarquardt
from fitkit.optimizers.newton import Newton
from fitkit.optimizers.stopping import CLAIMS
from fitkit.uncertainty.covariance import estimate_covariance
from fitkit.uncertainty.intervals import two_sided_quantile

Array = NDArray[np.float64]
pytestmark = pytest.mark.slow

FITS = 700
DEVIATIONS = 3.5
"""How many of its own standard deviations a count or a moment may be off: one of the forty below is, one time in fifty."""
X = np.linspace(0, 5, 40)
SIGMA = 0.05 * (1 + X)


@final
@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A model whose data can be drawn again and again."""

    config: dict[str, Any]
    truth: dict[str, float]
    optimizer: Optimizer

    def mean(self) -> Array:
        values = self.truth
        if "h" in values:
            return np.asarray(
                values["h"] * np.exp(-((X - values["m"]) ** 2) / (2 * values["w"] ** 2)) + values["b"] * X
            )
        return np.asarray(values["a"] * np.exp(-values["k"] * X) + values["c"])

    def draw(self, random: np.random.Generator) -> Array:
        if self.config.get("loss") == "poisson":
            return random.poisson(self.mean()).astype(float)
        return self.mean() + (SIGMA if "sigma" in self.config["data"] else 0.05) * random.standard_normal(len(X))


DECAY = "y ~ a * exp(-k * x) + c"
SIMULATIONS = {
    "scale from the residuals": Simulation(
        config={"data": {}, "model": DECAY}, truth={"a": 3, "k": 1.2, "c": 0.5}, optimizer=LevenbergMarquardt()
    ),
    "scale from sigma": Simulation(
        config={"data": {"sigma": "s"}, "model": "y ~ h * exp(-(x - m)**2 / (2 * w**2)) + b * x"},
        truth={"h": 4, "m": 2, "w": 0.6, "b": 0.3},
        optimizer=LevenbergMarquardt(),
    ),
    "likelihood of counts": Simulation(
        config={"data": {}, "model": DECAY, "loss": "poisson"},
        truth={"a": 900, "k": 1.2, "c": 120},
        optimizer=Newton(),
    ),
}


@final
@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the fits of a simulation came to."""

    pulls: Array
    """(estimate - truth) / error, shape (fits, parameters)."""
    dof: int | None

    def covered(self, level: float) -> NDArray[np.int_]:
        """Return how many intervals of each parameter hold the truth, shape (parameters,)."""
        return np.asarray(np.count_nonzero(np.abs(self.pulls) <= two_sided_quantile(level, self.dof), axis=0))

    def normal(self) -> Array:
        """Return the pulls as numbers that are standard normal if errors are right, shape (fits, parameters)."""
        return np.asarray(self.pulls if self.dof is None else stats.norm.ppf(stats.t.cdf(self.pulls, self.dof)))


@cache
def simulated(name: str) -> Outcome:
    simulation = SIMULATIONS[name]
    random = np.random.default_rng(list(SIMULATIONS).index(name))
    truth = np.array(list(simulation.truth.values()), np.float64)
    data = {"values": {"x": column(X), "y": column(simulation.draw(random)), "s": column(SIGMA)}}
    config = {**simulation.config, "data": {**simulation.config["data"], **data}, "parameters": simulation.truth}
    problem = assembled(config).problem
    if problem.rows is None:
        raise AssertionError("a simulation has rows")
    pulls, dof = np.empty((FITS, len(truth))), None
    for number in range(FITS):
        again = problem.with_rows(replace(problem.rows, target=array(simulation.draw(random), "float64")))
        found = minimize(again, simulation.optimizer, Stopping(), truth, watch=Watch())
        assert found.reason in CLAIMS
        estimate = estimate_covariance(again, found.theta, assess(again, found.theta, found.largest))
        assert estimate.status == "accurate"
        assert estimate.matrix is not None
        pulls[number], dof = (found.theta - truth) / np.sqrt(np.diag(estimate.matrix)), estimate.dof
    return Outcome(pulls=pulls, dof=dof)


@pytest.mark.parametrize("level", [0.68, 0.95])
@pytest.mark.parametrize("name", SIMULATIONS)
def test_intervals_cover_as_often_as_they_promise(name: str, level: float) -> None:
    spread = np.sqrt(FITS * level * (1 - level))
    np.testing.assert_allclose(simulated(name).covered(level), FITS * level, atol=DEVIATIONS * spread)


@pytest.mark.parametrize("name", SIMULATIONS)
def test_pulls_are_standard_normal(name: str) -> None:
    pulls = simulated(name).normal()
    np.testing.assert_allclose(pulls.mean(axis=0), 0, atol=DEVIATIONS / np.sqrt(FITS))
    np.testing.assert_allclose(pulls.var(axis=0), 1, atol=DEVIATIONS * np.sqrt(2 / FITS))


@pytest.mark.parametrize("name", SIMULATIONS)
def test_pulls_have_the_whole_normal_distribution(name: str) -> None:
    for pulls in simulated(name).normal().T:
        assert stats.kstest(pulls, "norm").pvalue > 1e-3
