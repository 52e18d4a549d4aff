"""Laws of the losses: every one that is listed is tested."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from jaxtyping import TypeCheckError
from numpy.typing import NDArray
from scipy import optimize, special, stats

import fitkit.losses as folder
from fitkit.backend import jax, jnp
from fitkit.expressions import parse
from fitkit.losses import LOSSES, DistanceLoss, Fitted, KinkedLoss, Loss, ResidualLoss
from fitkit.losses.binary_cross_entropy import BinaryCrossEntropy
from fitkit.losses.cauchy import Cauchy
from fitkit.losses.cross_entropy import CrossEntropy
from fitkit.losses.expression import FormulaCost
from fitkit.losses.gaussian_nll import GaussianLikelihood
from fitkit.losses.huber import Huber
from fitkit.losses.mae import MeanAbsoluteError
from fitkit.losses.mse import MeanSquaredError
from fitkit.losses.poisson import Poisson
from fitkit.losses.quantile import Quantile
from fitkit.losses.residual import FormulaResidual
from fitkit.losses.soft_l1 import SoftL1

Array = NDArray[np.float64]

GIVEN: dict[type[Loss], tuple[Loss, ...]] = {
    MeanSquaredError: (MeanSquaredError(),),
    MeanAbsoluteError: (MeanAbsoluteError(),),
    Quantile: (Quantile(), Quantile(quantile=0.2)),
    Huber: (Huber(), Huber(delta=0.3)),
    SoftL1: (SoftL1(), SoftL1(scale=2.5)),
    Cauchy: (Cauchy(), Cauchy(scale=0.4)),
    Poisson: (Poisson(link="identity"), Poisson(link="log")),
    BinaryCrossEntropy: (BinaryCrossEntropy(), BinaryCrossEntropy(link="identity")),
    GaussianLikelihood: (
        GaussianLikelihood(sigma=parse("0.7")),
        GaussianLikelihood(sigma=parse("0.1 + prediction**2")),
    ),
    FormulaResidual: (FormulaResidual(expression=parse("(target - prediction) / sqrt(1 + prediction**2)")),),
    FormulaCost: (FormulaCost(expression=parse("log(cosh(prediction - target))")),),
}
"""Losses with some of their settings; a listed loss that is not here is held to the laws with its defaults."""


def settings(cls: type[Loss]) -> tuple[Loss, ...]:
    return GIVEN[cls] if cls in GIVEN else (cls(),)


OF_CLASSES = {CrossEntropy}
"""Losses whose predictions are a number for each class; they have laws of their own."""
ALL = [
    pytest.param(loss, id=f"{loss.kind}-{index}")
    for cls in LOSSES
    if cls not in OF_CLASSES
    for index, loss in enumerate(settings(cls))
]
DISTANCES = [p for p in ALL if isinstance(p.values[0], DistanceLoss)]
PROMISED = MeanSquaredError | MeanAbsoluteError | Quantile | Huber | SoftL1 | Poisson | BinaryCrossEntropy | FormulaCost
CONVEX = [p for p in ALL if isinstance(p.values[0], PROMISED)]
RESIDUALS = [p for p in ALL if isinstance(p.values[0], ResidualLoss)]
DISTANCE = np.concatenate([-np.logspace(3, -9, 25), [0.0], np.logspace(-9, 3, 25)])


def fitted(prediction: Any, target: Any, sigma: Any = None) -> Fitted:
    prediction = jnp.asarray(prediction, float)
    sigma = None if sigma is None else jnp.broadcast_to(jnp.asarray(sigma, float), prediction.shape)
    target = jnp.broadcast_to(jnp.asarray(target, float), prediction.shape)
    return Fitted(prediction=prediction, target=target, sigma=sigma, values={}, inputs={})


def cost(loss: Loss, prediction: Any, target: Any, sigma: Any = None) -> Array:
    return np.asarray(loss.cost(fitted(np.atleast_1d(prediction), target, sigma)))


def samples(loss: Loss) -> tuple[Array, Array]:
    """Return predictions and targets in the domain of a loss."""
    random = np.random.default_rng(4)
    if isinstance(loss, Poisson):
        predictions = random.uniform(0.1, 9, 40)
        return np.log(predictions) if loss.link == "log" else predictions, random.poisson(3, 40).astype(float)
    if isinstance(loss, BinaryCrossEntropy):
        predictions = random.uniform(0.02, 0.98, 40)
        return stats.logistic.ppf(predictions) if loss.link == "logit" else predictions, np.round(random.random(40))
    return random.normal(0, 3, 40), random.normal(0, 3, 40)


def subclasses_in_the_folder() -> set[type[Loss]]:
    """Return the losses that the files of the folder define, listed or not."""
    modules = [importlib.import_module(f"fitkit.losses.{m.name}") for m in pkgutil.iter_modules(folder.__path__)]
    return {
        cls
        for module in modules
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, Loss) and cls not in {Loss, ResidualLoss, DistanceLoss, KinkedLoss}
    }


def test_every_loss_in_the_folder_is_listed() -> None:
    assert subclasses_in_the_folder() == set(LOSSES)


def test_every_listed_loss_is_held_to_the_laws() -> None:
    assert {type(p.values[0]) for p in ALL} | OF_CLASSES == set(LOSSES)
    assert set(GIVEN) <= set(LOSSES)


def test_cross_entropy_is_the_log_of_a_softmax_and_sees_no_other_row() -> None:
    random = np.random.default_rng(5)
    logits, target = 300 * random.normal(size=(50, 4)), random.integers(0, 4, 50)
    loss = CrossEntropy().with_classes(("a", "b", "c", "d"))
    assert loss.width == (4,)

    def costs(at: Any) -> Any:
        rows = Fitted(prediction=at, target=jnp.asarray(target, float), sigma=None, values={}, inputs={})
        return loss.cost(rows)

    expected = special.logsumexp(logits, axis=1) - logits[np.arange(50), target]
    np.testing.assert_allclose(costs(jnp.asarray(logits)), expected, rtol=1e-12, atol=1e-12)
    gradient = jax.jacobian(costs)(jnp.asarray(logits))
    wanted = special.softmax(logits, axis=1) - np.eye(4)[target]
    np.testing.assert_allclose(gradient[np.arange(50), np.arange(50)], wanted, atol=1e-12)
    np.testing.assert_allclose(np.asarray(gradient).sum(axis=1), wanted, atol=1e-12)
    np.testing.assert_allclose(loss.mean(jnp.asarray(logits)), special.softmax(logits, axis=1), atol=1e-12)


def test_kinds_are_distinct() -> None:
    assert len({cls.kind for cls in LOSSES}) == len(LOSSES)


@pytest.mark.parametrize("loss", ALL)
def test_a_cost_for_each_row_and_no_row_sees_another(loss: Loss) -> None:
    prediction, target = samples(loss)
    whole = cost(loss, prediction, target)
    assert whole.shape == prediction.shape
    assert np.isfinite(whole).all()
    alone = [cost(loss, p, t)[0] for p, t in zip(prediction[:5], target[:5], strict=True)]
    np.testing.assert_allclose(whole[:5], alone, rtol=1e-15)


@pytest.mark.parametrize("loss", ALL)
def test_the_gradient_is_that_of_the_cost(loss: Loss) -> None:
    prediction, target = samples(loss)
    gradient = jax.grad(lambda p: jnp.sum(loss.cost(fitted(p, target))))(jnp.asarray(prediction))
    step = 1e-5 * np.maximum(np.abs(prediction), 1e-2)
    # Five points: the error is of the order of step**4 and of the rounding of the cost over the step.
    near = [cost(loss, prediction + k * step, target) for k in (-2, -1, 1, 2)]
    numerical = (near[0] - 8 * near[1] + 8 * near[2] - near[3]) / (12 * step)
    np.testing.assert_allclose(gradient, numerical, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("loss", CONVEX)
def test_convex_costs_lie_below_their_chords(loss: Loss) -> None:
    prediction, target = samples(loss)
    ends, middle = cost(loss, prediction, target), np.roll(prediction, 1)
    chord = (ends + cost(loss, middle, target)) / 2
    assert (cost(loss, (prediction + middle) / 2, target) <= chord + 1e-12 * (1 + np.abs(chord))).all()


@pytest.mark.parametrize("loss", DISTANCES)
def test_distance_costs_are_zero_at_zero_even_and_growing(loss: DistanceLoss) -> None:
    costs = cost(loss, DISTANCE, 0.0)
    assert costs[25] == 0
    assert (costs >= 0).all()
    np.testing.assert_array_equal(costs, costs[::-1])
    assert (np.diff(costs[25:]) > 0).all()


@pytest.mark.parametrize("loss", RESIDUALS)
def test_residuals_are_signed_roots_of_costs(loss: ResidualLoss) -> None:
    prediction, target = samples(loss)
    residual = np.asarray(loss.residual(fitted(prediction, target)))
    np.testing.assert_allclose(residual**2, cost(loss, prediction, target), rtol=1e-14)
    if isinstance(loss, DistanceLoss):
        np.testing.assert_array_equal(np.sign(residual), np.sign(prediction - target))
        rho = np.asarray(loss.rho(jnp.asarray((prediction - target) ** 2)))
        np.testing.assert_allclose(residual**2, rho, rtol=1e-13)


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-170, 1e-100, 1e-12])
@pytest.mark.parametrize("loss", DISTANCES)
def test_derivatives_are_finite_and_right_at_and_near_zero(loss: DistanceLoss, size: float) -> None:
    """Near zero every distance loss is rho'(0) u², so its slope and curvature are known."""

    def total(u: Any) -> Any:
        return loss.cost(fitted(u[None], 0.0))[0]

    weight = float(jax.grad(lambda s: jnp.sum(loss.rho(s[None])))(jnp.asarray(0.0)))
    u = jnp.asarray(size)
    assert float(jax.grad(total)(u)) == pytest.approx(2 * weight * size, rel=1e-9, abs=1e-300)
    assert float(jax.hessian(total)(u)) == pytest.approx(2 * weight, rel=1e-9)
    residual_slope = jax.grad(lambda v: loss.residual(fitted(v[None], 0.0))[0])
    assert float(residual_slope(u)) == pytest.approx(math.sqrt(weight), rel=1e-9)
    assert math.isfinite(float(jax.grad(residual_slope)(u)))


@pytest.mark.parametrize("loss", [*DISTANCES, MeanAbsoluteError(), Quantile(quantile=0.3)])
def test_sigma_divides_the_distance(loss: Loss) -> None:
    sigma = np.array([0.1, 1.0, 7.0])
    np.testing.assert_allclose(
        cost(loss, [1.0, 2.0, -3.0], [0.5, 0.0, 1.0], sigma),
        cost(loss, np.array([0.5, 2.0, -4.0]) / sigma, 0.0),
        rtol=1e-14,
    )


def test_sigma_divides_a_residual_written_as_a_formula() -> None:
    loss = FormulaResidual(expression=parse("target - prediction"))
    np.testing.assert_allclose(cost(loss, [3.0, 5.0], 1.0, [2.0, 8.0]), [1.0, 0.25])


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("name", ["soft_l1", "huber", "cauchy"])
def test_robust_losses_are_scipys(name: Literal["soft_l1", "huber", "cauchy"], scale: float) -> None:
    """scipy's cost is half the sum of f_scale² rho((f / f_scale)²)."""
    loss = {"soft_l1": SoftL1(scale=scale), "huber": Huber(delta=scale), "cauchy": Cauchy(scale=scale)}[name]
    for u in (0.0, 0.2, -0.299, 0.301, 1.0, -5.0, 80.0):
        residual = np.array([u]).__add__  # of 0, where scipy evaluates it
        found = optimize.least_squares(residual, [0.0], loss=name, f_scale=scale, max_nfev=1)
        np.testing.assert_allclose(cost(loss, u, 0.0)[0], found.cost, rtol=1e-13, atol=1e-300)


def test_torchs_definitions() -> None:
    """MSELoss, L1Loss, HuberLoss, PoissonNLLLoss and BCEWithLogitsLoss as torch documents them, without reduction."""
    p, t = np.array([-2.0, -0.2, 0.0, 0.4, 3.0]), np.array([1.0, 0.0, 0.0, 1.0, 0.0])
    u, delta = p - t, 0.7
    huber = np.where(np.abs(u) <= delta, 0.5 * u**2, delta * (np.abs(u) - 0.5 * delta))
    sigmoid = 1 / (1 + np.exp(-p))
    cases: list[tuple[Loss, Array]] = [
        (MeanSquaredError(), u**2),
        (MeanAbsoluteError(), np.abs(u)),
        (Huber(delta=delta), huber),
        (Poisson(link="log"), np.exp(p) - t * p),
        (Poisson(link="identity"), np.where(p > 0, p - t * np.log(np.where(p > 0, p, 1.0)), 0.0)),
        (BinaryCrossEntropy(), -(t * np.log(sigmoid) + (1 - t) * np.log(1 - sigmoid))),
    ]
    for loss, expected in cases:
        domain = p > 0 if loss == Poisson(link="identity") else np.ones(5, bool)
        np.testing.assert_allclose(cost(loss, p[domain], t[domain]), expected[domain], rtol=1e-14)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.8])
def test_the_pinball_loss_is_koenkers(q: float) -> None:
    """rho(r) = r (q - [r < 0]) of r = target - prediction."""
    r = np.array([-3.0, -0.1, 0.0, 0.2, 5.0])
    np.testing.assert_allclose(cost(Quantile(quantile=q), -r, 0.0), r * (q - (r < 0)), rtol=1e-15)


@pytest.mark.parametrize("loss", [MeanAbsoluteError(), Quantile(quantile=0.2)])
def test_a_rounded_kink_nears_the_kink(loss: KinkedLoss) -> None:
    """a (sqrt(u² + w²) - w) is below a |u| by at most a w, has the slope zero at zero, and a residual that squares to it."""
    u = np.array([-3.0, -1e-3, 0.0, 1e-3, 5.0])
    side = np.where(u > 0, *loss.slopes)
    for width in (1.0, 1e-3, 1e-9):
        root = np.asarray(loss.smoothed_residual(fitted(u, 0.0), jnp.asarray(width)))
        np.testing.assert_allclose(root**2, side * u**2 / (np.hypot(u, width) + width), rtol=1e-13)
        assert (cost(loss, u, 0.0) - root**2 <= side * width * (1 + 1e-9) + 1e-14).all()
        np.testing.assert_array_equal(np.sign(root), np.sign(u))


@pytest.mark.parametrize("link", ["identity", "log"])
def test_poisson_is_the_log_likelihood_up_to_a_constant(link: Any) -> None:
    loss = Poisson(link=link)
    rate, counts = np.array([0.3, 2.0, 2.0, 40.0]), np.array([0, 0, 5, 37])
    prediction = np.log(rate) if link == "log" else rate
    constant = np.array([math.lgamma(count + 1) for count in counts])
    np.testing.assert_allclose(
        cost(loss, prediction, counts) + constant, -stats.poisson.logpmf(counts, rate), rtol=1e-13
    )
    np.testing.assert_allclose(loss.mean(jnp.asarray(prediction)), rate, rtol=1e-14)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 20.0])
def test_the_normal_likelihood_is_the_density_up_to_a_constant(sigma: float) -> None:
    loss = GaussianLikelihood(sigma=parse(f"{sigma!r} + 0 * target"))
    prediction, target = np.array([-2.0, 0.0, 0.4, 3.0]), np.array([1.0, 0.0, 0.1, -5.0])
    density = -stats.norm.logpdf(target, prediction, sigma)
    np.testing.assert_allclose(cost(loss, prediction, target), density - math.log(2 * math.pi) / 2, rtol=1e-13)


def test_a_standard_deviation_that_is_not_positive_has_no_likelihood() -> None:
    loss = GaussianLikelihood(sigma=parse("prediction"))
    assert cost(loss, [0.0, -1.0, 1.0], 1.0).tolist() == [math.inf, math.inf, 0.0]


def test_a_row_without_counts_has_the_slope_of_its_rate() -> None:
    loss = Poisson(link="identity")
    assert cost(loss, [0.0, 2.0], 0.0).tolist() == [0.0, 2.0]
    slope = jax.grad(lambda p: jnp.sum(loss.cost(fitted(p, 0.0))))
    assert np.asarray(slope(jnp.array([0.0, 2.0]))).tolist() == [1.0, 1.0]
    assert cost(loss, [-1.0, -1e-300], [0.0, 3.0]).tolist() == [math.inf, math.inf]


@pytest.mark.parametrize("link", ["identity", "logit"])
def test_cross_entropy_is_bernoullis_log_likelihood(link: Any) -> None:
    loss = BinaryCrossEntropy(link=link)
    probability, target = np.array([0.1, 0.1, 0.9, 0.9]), np.array([0, 1, 0, 1])
    prediction = stats.logistic.ppf(probability) if link == "logit" else probability
    np.testing.assert_allclose(cost(loss, prediction, target), -stats.bernoulli.logpmf(target, probability), rtol=1e-13)
    np.testing.assert_allclose(loss.mean(jnp.asarray(prediction)), probability, rtol=1e-14)


def test_cross_entropy_at_its_edges() -> None:
    """Certainty that is right costs nothing, and far logits neither overflow nor lose their slope."""
    sure = BinaryCrossEntropy(link="identity")
    assert cost(sure, [0.0, 1.0], [0.0, 1.0]).tolist() == [0.0, 0.0]
    logits, target = jnp.array([-800.0, 800.0, 800.0]), jnp.array([1.0, 0.0, 1.0])
    loss = BinaryCrossEntropy()
    np.testing.assert_allclose(cost(loss, logits, target), [800.0, 800.0, 0.0])
    slope = jax.grad(lambda p: jnp.sum(loss.cost(fitted(p, target))))(logits)
    np.testing.assert_allclose(slope, [-1.0, 1.0, 0.0], atol=1e-300)


@pytest.mark.parametrize(
    ("loss", "refused", "taken"),
    [(Poisson(), [-0.1], [0.0, 2.5]), (BinaryCrossEntropy(), [-0.01, 1.01], [0.0, 0.5, 1.0])],
    ids=["poisson", "binary_cross_entropy"],
)
def test_targets_that_have_no_likelihood(loss: Loss, refused: list[float], taken: list[float]) -> None:
    rule = loss.target_rule
    assert rule is not None
    inside: Callable[[float], bool] = lambda value: rule.minimum <= value <= rule.maximum  # noqa: E731
    assert all(map(inside, taken))
    assert not any(map(inside, refused))


def test_formulas_see_columns_and_parameters() -> None:
    loss = FormulaCost(expression=parse("scale * x + 0 * prediction"))
    seen = replace(fitted([1.0, 2.0], 0.0), values={"scale": jnp.asarray(3.0)}, inputs={"x": jnp.array([1.0, 10.0])})
    assert loss.names == {"scale", "x"}
    assert np.asarray(loss.cost(seen)).tolist() == [3.0, 30.0]


def test_a_wrong_shape_is_caught() -> None:
    """The import hook of conftest.py is at work: rows of different numbers do not pass."""
    with pytest.raises(TypeCheckError):
        Fitted(prediction=jnp.zeros(3), target=jnp.zeros(4), sigma=None, values={}, inputs={})
    with pytest.raises(TypeCheckError):
        Fitted(prediction=jnp.zeros(3), target=jnp.zeros(3), sigma=jnp.zeros((3, 1)), values={}, inputs={})
    with pytest.raises(TypeCheckError):
        MeanSquaredError().rho(jnp.zeros(()))
