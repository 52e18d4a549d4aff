"""The stop rule: one rule for numbers on the host and numbers in compiled loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from fitting import fit
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fitkit.backend import jnp
from fitkit.minimize import stop_rule
from fitkit.optimizers.adam import Adam
from fitkit.optimizers.lbfgs import LimitedMemoryBFGS
from fitkit.optimizers.lm import LevenbergMarquardt
from fitkit.optimizers.sgd import StochasticGradientDescent
from fitkit.optimizers.stopping import CLAIMS, Measures, Reason, Stopping, StopRule, judge

# XLA flushes subnormal numbers to zero, so the three can only agree on normal ones.
SIZES = st.one_of(st.floats(0, 1, allow_subnormal=False), st.sampled_from([0.0, 1e-300, 1e-10, math.inf, math.nan]))
TOLERANCES = st.one_of(st.sampled_from([-1.0, 0.0, 1e-10]), st.floats(0, 1, allow_subnormal=False))
COUNTS = st.integers(-1, 5)
MEASURES = st.builds(Measures, SIZES, SIZES, SIZES, SIZES, *[st.booleans()] * 4)
RULES = st.builds(StopRule, TOLERANCES, TOLERANCES, TOLERANCES, st.integers(0, 5), COUNTS, COUNTS)
QUIET = Measures(1.0, math.nan, math.nan, math.nan, False, False, False, True)  # noqa: FBT003 - a tuple of measures
NEVER = StopRule(-1.0, -1.0, -1.0, 1000, -1, -1)


def on(xp: Any, rule: StopRule, step: int, since_best: int, measures: Measures) -> Reason:
    """Return the verdict with every measure an array of `xp`."""
    arrays = Measures(*(xp.asarray(measure) for measure in measures))
    return Reason(int(judge(rule, xp.asarray(step), xp.asarray(since_best), arrays, xp)))


def by_hand(rule: StopRule, step: int, since_best: int, m: Measures) -> Reason:
    """Return the verdict in plain Python, written from the documentation; NaN is below no tolerance."""
    if not m.finite:
        return Reason.NOT_FINITE
    if m.optimality <= rule.gtol:
        return Reason.GRADIENT_SMALL
    if m.moved and m.theta_change <= rule.xtol:
        return Reason.STEP_SMALL
    if m.moved and m.value_change <= rule.ftol:
        return Reason.LOSS_FLAT
    if m.stalled:
        return Reason.STEP_SMALL if m.at_rounding else Reason.STALLED
    if 0 <= rule.patience <= since_best:
        return Reason.PATIENCE
    if 0 <= rule.epochs <= step:
        return Reason.EPOCHS_DONE
    return Reason.MAX_STEPS if step >= rule.max_steps else Reason.RUNNING


@settings(max_examples=300, deadline=None)
@given(RULES, st.integers(0, 6), st.integers(0, 6), MEASURES)
@example(NEVER, 3, 2, QUIET)
def test_numpy_jax_and_plain_python_say_the_same(
    rule: StopRule, step: int, since_best: int, measures: Measures
) -> None:
    expected = by_hand(rule, step, since_best, measures)
    assert on(np, rule, step, since_best, measures) is expected
    assert on(jnp, rule, step, since_best, measures) is expected


def test_a_refused_step_is_not_convergence() -> None:
    """A step of length zero changes nothing, and neither the loss nor the parameters have settled."""
    rule = NEVER._replace(ftol=1e-14, xtol=1e-14)
    still = QUIET._replace(value_change=0.0, theta_change=0.0)
    assert on(np, rule, 3, 0, still) is Reason.RUNNING
    assert on(np, rule, 3, 0, still._replace(moved=True)) is Reason.STEP_SMALL


def test_with_epochs_only_tolerances_that_are_written_count() -> None:
    defaults = stop_rule(Adam(), Stopping())
    assert (defaults.gtol, defaults.epochs) == (1e-8, -1)
    counted = stop_rule(Adam(epochs=50), Stopping())
    assert (counted.gtol, counted.ftol, counted.xtol, counted.epochs) == (-1, -1, -1, 50)
    written = stop_rule(StochasticGradientDescent(epochs=50), Stopping(ftol=1e-3))
    assert (written.gtol, written.ftol, written.xtol) == (-1, 1e-3, -1)
    assert stop_rule(Adam(epochs=50_000), Stopping()).max_steps == 50_000


def test_what_is_written_replaces_the_defaults() -> None:
    for optimizer in (LevenbergMarquardt(), LimitedMemoryBFGS()):
        rule = stop_rule(optimizer, Stopping(max_steps=0, gtol=0.0, ftol=0.1, xtol=0.2, patience=3))
        assert rule == StopRule(gtol=0.0, ftol=0.1, xtol=0.2, max_steps=0, epochs=-1, patience=3)


def test_every_reason_is_a_word_of_the_result() -> None:
    assert {reason.word for reason in Reason} >= {"gradient_small", "max_steps", "not_identified", "rose", "saddle"}
    assert all(reason.word.islower() for reason in CLAIMS)


def test_a_search_on_the_ground_of_rounding_ends_there() -> None:
    """Rosenbrock's function about its minimum: half of the parameters end at zero, and moves at rounding go on for ever.

    A slope or a move of exactly zero is asked for, so that nothing but the rounding can end the search.
    """
    at = [f"(p{number} + {(-1.2, 1.0)[number % 2]})" for number in range(10)]
    terms = [f"100 * ({at[k + 1]} - {at[k]}**2)**2 + (1 - {at[k]})**2" for k in range(9)]
    found = fit({
        "minimize": " + ".join(terms), "parameters": {f"p{k}": 0 for k in range(10)}, "optimizer": "lbfgs",
        "stopping": {"gtol": 0.0, "xtol": 0.0},
    })  # fmt: skip
    assert found.verdict == ("converged", 0, "step_small")
    np.testing.assert_allclose(found.values, [2.2, 0.0] * 5, atol=1e-12)
    assert found.result.steps is not None
    assert found.result.steps < 500
