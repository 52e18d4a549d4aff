"""The batch of groups against single fits of each, and against Newton's method written out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from grouped_tables import ALONE, DECAY, PEAK, Vector, alone, decays, peaks, table

from fitkit.backend import kernel
from fitkit.grouped import Alone, GroupedFit, GroupProgress, Groups, fit_groups, status_of
from fitkit.grouped.lane_rows import LaneProblem, shape_of
from fitkit.grouped.steps import descend, polish
from fitkit.optimizers.stopping import Reason
from fitkit.problem import Problem, RowData
from fitkit.result import Status

RANDOM = np.random.default_rng(11)
LIKE = [30] * 8
UNLIKE = [10, 24, 24, 70, 10, 24]


def as_alone(problem: Problem, groups: Groups, found: GroupedFit) -> None:
    """Every group is what a single fit makes of it: parameters to 1e-8, errors to 1e-6, the same status and flags."""
    for group in range(len(groups)):
        single = alone(problem, groups, group)
        assert found.status(group) is Status.CONVERGED, found.message(group)
        assert single.reason in {Reason.GRADIENT_SMALL, Reason.STEP_SMALL}
        np.testing.assert_allclose(found.values[group], single.values, rtol=1e-8)
        np.testing.assert_allclose(found.errors[group], single.errors, rtol=1e-6)
        assert found.loss[group] == pytest.approx(single.loss, rel=1e-9)
        assert (found.at_bound[group] == single.at_bound).all()


def with_parameters(**parameters: Any) -> dict[str, Any]:
    return {**DECAY, "parameters": {**DECAY["parameters"], **parameters}}


@pytest.mark.parametrize(
    ("config", "extra"),
    [
        (DECAY, "weights"),
        (with_parameters(k={"start": 0.7, "min": 0, "max": 1}, c={"start": 1.2, "min": 0.9}), None),
        (with_parameters(k={"start": 0.5, "scale": "log"}, half={"equals": "log(2) / k"}), None),
        (
            with_parameters(a={"start": 4, "fixed": True}, c={"start": 1, "prior": {"mean": 0.8, "sigma": 0.02}}),
            "sigma",
        ),
        ({**DECAY, "loss": "soft_l1"}, "sigma"),
        ({**DECAY, "loss": {"kind": "expression", "expression": "log(cosh(prediction - target))"}}, None),
        ({"model": {"kind": "polynomial", "input": "x", "target": "y", "degree": 3}}, None),
        ({"model": {"kind": "linear", "inputs": ["x"], "target": "y"}}, "weights"),
    ],
    ids=["weights", "bounds", "log and ties", "held and priors", "robust", "expression", "polynomial", "linear"],
)
def test_every_group_is_as_fitted_alone(config: dict[str, Any], extra: str | None) -> None:
    x, y = decays(LIKE)
    given: dict[str, list[Vector]] = {}
    if extra == "weights":
        given = {"weights": [RANDOM.integers(1, 4, len(at)).astype(float) for at in x]}
    elif extra == "sigma":
        given = {"sigma": [RANDOM.uniform(0.05, 0.15, len(at)) for at in x]}
    problem, groups = table(config, x, y, **given)
    found = fit_groups(problem, groups, ALONE)
    assert found.alone == 0
    as_alone(problem, groups, found)


def test_counts_go_by_their_likelihood_and_unlike_lengths_by_one_program() -> None:
    x = [np.linspace(0, 5, length) for length in UNLIKE]
    y = [RANDOM.poisson(40 * np.exp(-0.7 * at) + 3).astype(float) for at in x]
    bounded = {name: {"start": start, "min": 0.01} for name, start in (("a", 30), ("k", 1), ("c", 2))}
    problem, groups = table({**DECAY, "parameters": bounded, "loss": "poisson"}, x, y)
    found = fit_groups(problem, groups, ALONE)
    assert found.alone == 0
    as_alone(problem, groups, found)


@pytest.mark.parametrize("lengths", [[50] * 300, RANDOM.integers(12, 90, 300)], ids=["like", "unlike"])
def test_newton_has_nothing_left_to_do(lengths: Any) -> None:
    """The step on the exact Hessian, written out in numpy, is below 1e-8 of every parameter."""
    x, y = peaks(lengths)
    problem, groups = table(PEAK, x, y)
    found = fit_groups(problem, groups, ALONE)
    assert found.converged.mean() > 0.99
    for group in np.flatnonzero(found.converged):
        a, b, c, d = found.values[group]
        u = (x[group] - b) / c
        e = np.exp(-(u**2) / 2)
        r = a * e + d - y[group]
        jacobian = np.column_stack([e, a * e * u / c, a * e * u**2 / c, np.ones_like(e)])
        second = np.zeros((4, 4, len(u)))
        second[0, 1], second[0, 2] = e * u / c, e * u**2 / c
        second[1, 1], second[1, 2] = a * e * (u**2 - 1) / c**2, a * e * (u**3 - 2 * u) / c**2
        second[2, 2] = a * e * (u**4 - 3 * u**2) / c**2
        upper = second @ r
        hessian = jacobian.T @ jacobian + upper + upper.T - np.diag(np.diag(upper))
        step = np.linalg.solve(hessian, -jacobian.T @ r)
        assert (np.abs(step) <= 1e-8 * np.abs(found.values[group]) + 1e-14).all()
        variance = r @ r / (len(u) - 4)
        errors = np.sqrt(np.diag(variance * np.linalg.inv(jacobian.T @ jacobian)))
        np.testing.assert_allclose(found.errors[group], errors, rtol=1e-6)


def ill(y: list[Vector]) -> list[Vector]:
    spoilt = [at.copy() for at in y]
    spoilt[1][:], spoilt[2][:], spoilt[4][:] = 0, 2, 1e300
    spoilt[3][4] = np.nan
    spoilt[6] = RANDOM.normal(size=len(y[6]))
    return spoilt


@pytest.mark.parametrize("lengths", [LIKE, [*LIKE[:6], 24, 60]], ids=["like", "unlike"])
def test_ill_groups_have_their_own_verdicts_and_their_neighbours_never_feel_them(lengths: list[int]) -> None:
    x, y = decays(lengths)
    sound, hurt = (fit_groups(*table(DECAY, x, each), ALONE) for each in (y, ill(y)))
    others = np.setdiff1d(np.arange(len(x)), [1, 2, 3, 4, 6])
    for one, other in ((sound.theta, hurt.theta), (sound.errors, hurt.errors), (sound.loss, hurt.loss)):
        assert (one[others] == other[others]).all()
    assert hurt.converged[others].all()
    problem, groups = table(DECAY, x, ill(y))
    for group in (1, 2, 3, 4):  # noise alone may have more minima than one
        assert Reason(int(hurt.reason[group])) is alone(problem, groups, group).reason
    assert hurt.status(3) is Status.DIVERGED
    assert hurt.status(1) is Status.NOT_CONVERGED
    assert np.isnan(hurt.errors[[1, 2, 3]]).all()


def test_groups_too_small_or_without_a_start_say_so() -> None:
    x, y = decays([30, 2, 0, 3, 30])
    y[3] = 5 * np.exp(-x[3]) + 1
    problem, groups = table(DECAY, x, y)
    groups.start[4, 1] = np.nan
    found = fit_groups(problem, groups, ALONE)
    assert [found.status(group).value for group in range(5)] == [
        "converged", "failed", "failed", "converged", "diverged",
    ]  # fmt: skip
    assert found.message(1) == "2 rows cannot determine 3 free parameters."
    assert found.message(2) == "0 rows cannot determine 3 free parameters."
    assert found.dof.tolist() == [27, -1, -3, 0, 27]
    assert np.isnan(found.errors[3]).all()  # as many rows as parameters leave no scatter


def test_threads_and_pieces_change_nothing() -> None:
    x, y = decays([12] * 3000)
    one, three = (fit_groups(*table(DECAY, x, y), ALONE, threads=threads) for threads in (1, 3))
    assert (one.theta == three.theta).all()
    np.testing.assert_array_equal(one.errors, three.errors)
    assert (one.steps == three.steps).all()


def test_a_fit_that_is_stopped_keeps_what_it_has() -> None:
    x, y = decays([12] * 6000)
    seen: list[GroupProgress] = []
    found = fit_groups(*table(DECAY, x, y), ALONE, threads=1, stop=lambda: bool(seen), show=seen.append)
    reasons = {Reason(int(code)) for code in np.unique(found.reason)}
    assert reasons == {Reason.GRADIENT_SMALL, Reason.INTERRUPTED}
    assert np.isnan(found.loss[found.reason == Reason.INTERRUPTED]).all()
    assert seen[-1].done == found.converged.sum()
    assert seen[-1].total == 6000


def test_objectives_with_kinks_are_fitted_one_by_one() -> None:
    x, y = decays([20] * 2)
    problem, groups = table({**DECAY, "loss": "mae"}, x, y)
    found = fit_groups(problem, groups, ALONE)
    assert found.alone == 2
    assert found.solver == "one by one"
    as_alone(problem, groups, found)


def test_only_so_many_hopeless_groups_are_fitted_alone() -> None:
    """Constant data determine no decay; of 150 such groups 100 are looked at one by one, the longest first."""
    x = [np.linspace(0, 5, length) for length in [8] * 75 + [12] * 75]
    y = [np.full(len(at), 2.0) for at in x]
    y[0] = np.full(8, np.nan)
    looked_at: list[int] = []

    def fit(problem: Problem, start: Vector) -> Alone:
        looked_at.append(0 if problem.rows is None else int(np.count_nonzero(np.asarray(problem.rows.weight))))
        return ALONE(problem, start)

    found = fit_groups(*table(DECAY, x, y), fit)
    assert looked_at == [8] * 25 + [12] * 75
    assert found.alone == 100
    assert found.status(0) is Status.DIVERGED
    assert found.status(74) is Status.NOT_CONVERGED
    assert "Too many groups are like it" in found.message(74)
    assert Reason(int(found.reason[149])) is Reason.NOT_IDENTIFIED
    assert np.isnan(found.errors).all()


@pytest.mark.parametrize("loss", ["mse", {"kind": "huber", "delta": 0.1}], ids=["squares", "robust"])
def test_a_step_across_a_pole_is_taken_back(loss: Any) -> None:
    """Wells of a plate that share their concentrations: the first step leads most to K < 0, a minimum of no use."""
    true = [(v, k) for v in (1.5, 2.0, 2.5, 3.0) for k in (0.4, 0.8, 1.2, 2.0)]
    x = [np.linspace(0.1, 10, 8)] * len(true)
    y = [v * at / (k + at) for at, (v, k) in zip(x, true, strict=True)]
    problem, groups = table({"model": "y ~ V * x / (K + x)", "parameters": {"V": 1, "K": 1}, "loss": loss}, x, y)
    found = fit_groups(problem, groups, ALONE)
    np.testing.assert_allclose(found.values, true, rtol=1e-9)
    assert found.alone <= 2  # of thousands of wells there is no time for each alone


@pytest.mark.parametrize("loss", ["poisson", "binary_cross_entropy"])
def test_a_group_of_zeros_has_no_rate_to_converge_to(loss: str) -> None:
    """The likelihood of nothing but zeros rises for ever as the intercept falls; its errors would be of 1e49."""
    x = [np.array([0.9231, 1.8053, 1.9605, 2.4086, 2.634])] * 2
    y = [np.array([0, 1, 0, 1, 1.0]), np.zeros(5)]
    problem, groups = table({"model": {"kind": "linear", "inputs": ["x"], "target": "y"}, "loss": loss}, x, y)
    found = fit_groups(problem, groups, ALONE)
    assert found.status(0) is Status.CONVERGED
    assert Reason(int(found.reason[1])) is Reason.RUNAWAY


def test_errors_far_from_linear_are_those_of_the_minimum() -> None:
    """A step of a millionth of an error may change the error itself by more than that."""
    x, y = [np.array([0.6615, 3.6552, 4.2611, 4.3570, 4.8665])], [np.array([3.0537, 1.3778, 0.7818, 0.9557, 1.0803])]
    problem, groups = table(DECAY, x, y)
    as_alone(problem, groups, fit_groups(problem, groups, ALONE))


def test_groups_that_determine_no_curve_are_told_without_a_fit_of_each() -> None:
    """Peaks of four points, most between two of them: height, place and width make up one number that is seen."""
    x, y = peaks([4] * 120, seed=3)
    problem, groups = table(PEAK, x, y)
    found = fit_groups(problem, groups, ALONE)
    flat = np.flatnonzero(found.reason == int(Reason.NOT_IDENTIFIED))
    assert len(flat) > 20
    assert found.alone == 0  # the last of them leap along a curved valley
    for group in flat[::5].tolist():
        assert status_of(alone(problem, groups, group).reason) is found.status(group) is Status.NOT_CONVERGED
        assert found.message(group).startswith("Not identified: the loss does not change along a combination of a")
        assert found.unidentified[group][0]
        assert np.isnan(found.errors[group]).all()
    single = alone(problem, groups, int(flat[0]))
    # As `allow_flat` asks, each is left to a single fit.
    assert fit_groups(problem, groups, lambda *_: single, allow_flat=True).alone >= len(flat)


WAVE = "y ~ where(x > 0.5, sqrt(2 - cos(k) + 0.3 * k), 1000)"


@pytest.mark.parametrize(
    ("model", "starts", "sound"),
    [
        # Newton's step is exact, however far it leads: only its length says that the minimum may be another's.
        ("y ~ k * x + 7", [1.0, 1e-3, 0.0], [False, False, True]),
        # It overshoots, and the second step contracts nothing.
        ("y ~ where(x > 0.5, atan(k), 100)", [0.4, 0.01], [False, True]),
        # It leads calmly to a minimum that is higher; and the curvature is negative.
        (WAVE, [-1.4777, -0.3047, 2.0], [False, True, False]),
    ],
    ids=["far", "not calm", "higher"],
)
def test_a_lane_is_polished_only_to_its_own_minimum(model: str, starts: list[float], sound: list[bool]) -> None:
    x = np.array([0.0, 1.0])
    problem, groups = table({"model": model, "parameters": {"k": 1}}, [x], [np.full(2, 7.0 if "7" in model else 0.0)])
    theta = np.array([starts])

    def side_by_side(column: Any) -> Any:
        return np.repeat(np.asarray(column, float)[None, :, None], len(starts), axis=2)

    rows: RowData = jax.tree.map(side_by_side, groups.rows)
    shape = shape_of(problem, rows, weighted=False, blocks=False, exact=False, sandwich=False)
    total = np.full(len(starts), 2.0)

    def polished(theta: Any) -> Any:
        lanes = LaneProblem(replace(problem, rows=None), shape, rows, jax.numpy.asarray(total))
        floor = jax.numpy.zeros(len(starts))
        return polish(lanes, descend(lanes, theta, jax.numpy.ones(len(starts)), floor, 0, 1e-6), floor)

    found = kernel()(polished).light(theta)
    assert found.sound.tolist() == sound
    assert (found.theta[:, ~found.sound] == theta[:, ~np.array(sound)]).all()
