"""Laws of the gradient check on functions that nobody chose, and on single pieces with known answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gradient_functions import random_function, random_mutation

from fitkit.backend import jax, jnp, lax
from fitkit.gradient_check import Block, GradientReport, Settings, Subject, Verdict, check_function
from fitkit.gradient_check.identifiability import blind_directions
from fitkit.gradient_check.lines import judged_lines
from fitkit.gradient_check.locate import factor_words
from fitkit.gradient_check.noise import difference_noise
from fitkit.gradient_check.places import find_places
from fitkit.gradient_check.plan import Plan
from fitkit.gradient_check.probe import Place
from fitkit.gradient_check.session import Session, open_session

QUICK = Settings(measure=False, points=("start", "jitter"), directions=2)


def subject(function: Any, theta: list[float], gradient: Any = None, **more: Any) -> Subject:
    blocks = more.pop("blocks", (Block(name="x", shape=(len(theta),)),))
    return Subject(function=function, theta=np.asarray(theta, float), blocks=blocks, gradient=gradient, **more)


def line_verdicts(session: Session, places: tuple[Place, ...]) -> set[Verdict]:
    plan = Plan(points=("start", "jitter"), directions=2, singles=1, rungs=session.rungs)
    tested = judged_lines(session, places, plan, np.zeros(len(session.subject.theta), bool))
    return {line.judged.verdict for line in tested}


def off_by(place: Place, index: int, error: float) -> Place:
    factor = np.ones_like(place.gradient)
    factor[index] += error
    return replace(place, gradient=place.gradient * factor, shaken=place.shaken * factor)


def test_of_64_random_functions_no_gradient_is_called_wrong_and_wrong_ones_are_caught() -> None:
    refused, missed = [], []
    for seed in range(64):
        draws = np.random.default_rng([7, seed])
        function, start = random_function(draws)
        index, error = random_mutation(draws, len(start))
        session = open_session(subject(function, list(start)), QUICK)
        assert isinstance(session, Session)
        places = find_places(session, QUICK.points, 0.0).found
        if line_verdicts(session, places) - {Verdict.PASS, Verdict.UNUSED}:
            refused.append(seed)
        if not line_verdicts(session, tuple(off_by(p, index, error) for p in places)) & {Verdict.FAIL}:
            missed.append((seed, error))
    assert refused == []
    assert len(missed) <= 1  # 98 in 100


@pytest.mark.parametrize("frequency", [1e13, 3e13, 1e14])
def test_a_wave_too_fast_for_any_step_refutes_nothing(frequency: float) -> None:
    settings = Settings(measure=False, directions=8)
    assert check_function(subject(lambda x: jnp.sin(frequency * x[0]), [1.0]), settings).verdict == "inconclusive"


def test_the_same_seed_gives_the_same_report() -> None:
    first, second = (check_function(subject(lambda x: jnp.sum(jnp.sin(x)), [1, 2]), QUICK) for _ in range(2))
    assert repr(first) == repr(second)
    other = check_function(
        subject(lambda x: jnp.sum(jnp.sin(x)), [1, 2]),
        Settings(measure=False, seed=1, points=("start", "jitter"), directions=2),
    )
    assert repr(other) != repr(first)


@pytest.mark.parametrize("deviation", [1e-12, 1e-6, 1.0])
def test_noise_is_measured_within_a_factor_of_three(deviation: float) -> None:
    draws = np.random.default_rng(0)
    found = [
        difference_noise(3 + 1e3 * deviation * np.linspace(0, 1, 9) + deviation * draws.normal(size=9))
        for _ in range(200)
    ]
    assert deviation / 3 < float(np.median(found)) < 3 * deviation


def rules_of(report: GradientReport) -> dict[str, Verdict]:
    return {rule.name: rule.verdict for rule in report.rules}


def doubled(name: str) -> Any:
    """Return the identity with a derivative of 2, as a rule called `name`."""

    def identity(x: Any) -> Any:
        return x * 1.0

    identity.__name__ = identity.__qualname__ = name
    wrong = jax.custom_jvp(identity)
    wrong.defjvp(lambda primals, tangents: (wrong(primals[0]), 2 * tangents[0]))
    return wrong


def test_a_wrong_rule_is_named_with_its_place_and_a_right_one_beside_it_is_not() -> None:
    wrong = doubled("wrong")
    right = jax.custom_jvp(lambda x: jnp.sin(x))  # noqa: PLW0108 - a function of this file
    right.defjvp(lambda primals, tangents: (right(primals[0]), jnp.cos(primals[0]) * tangents[0]))
    report = check_function(subject(lambda x: wrong(x[0]) + right(x[1]), [1, 2]), QUICK)
    assert rules_of(report) == {"wrong": Verdict.RULE}
    assert str(report.rules[0].file).endswith("test_gradient_check_laws.py")
    assert report.rules[0].line is not None


@pytest.mark.parametrize("kind", ["scan", "while", "cond", "jit", "remat"])
def test_a_wrong_rule_is_found_inside(kind: str) -> None:
    wrong = doubled("inside")
    places: dict[str, Any] = {
        "scan": lambda x: lax.scan(lambda c, _: (wrong(c), None), x, None, length=2)[0],
        "while": lambda x: lax.while_loop(lambda s: s[1] < 2, lambda s: (wrong(s[0]), s[1] + 1), (x, 0))[0],
        "cond": lambda x: lax.cond(x > 0, wrong, lambda y: y, x),
        "jit": jax.jit(wrong),
        "remat": jax.checkpoint(wrong),
    }
    inside = places[kind]
    assert rules_of(check_function(subject(lambda x: inside(x[0]), [1.3]), QUICK)) == {"inside": Verdict.RULE}


def test_the_library_s_own_rules_are_no_news() -> None:
    def function(x: Any) -> Any:
        return jnp.sum(jax.nn.relu(x)) + jax.scipy.special.logsumexp(x) + jnp.sum(jax.nn.softplus(x) * jax.nn.silu(x))

    report = check_function(subject(function, [0.4, -1.2, 2.0]), QUICK)
    assert (report.rules, report.verdict) == ((), "pass")


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "pass"), (1.05, "fail")])
def test_an_implicit_rule_whose_solver_stops_early_is_judged_over_its_jumps(factor: float, verdict: str) -> None:
    """A damped Newton iteration for the cube root, stopped at 1e-5; the rule is that of the root itself."""

    @jax.custom_vjp
    def root(x: Any) -> Any:
        return lax.while_loop(lambda z: jnp.abs(z**3 - x) > 1e-5, lambda z: z - 0.7 * (z**3 - x) / (3 * z * z), x)

    root.defvjp(lambda x: (root(x), root(x)), lambda z, cotangent: (factor * cotangent / (3 * z**2),))
    assert check_function(subject(lambda x: root(x[0]) * x[1], [2, 1]), QUICK).verdict == verdict


def test_a_declared_surrogate_warns_instead_of_failing() -> None:
    def straight(x: Any) -> Any:
        return jnp.sum((x + lax.stop_gradient(jnp.round(x) - x) - 0.2) ** 2)

    settings = Settings(measure=False, points=("start",), directions=2, surrogate=True)
    assert check_function(subject(straight, [1.3, 0.6]), QUICK).verdict == "fail"
    report = check_function(subject(straight, [1.3, 0.6]), settings)
    assert report.verdict == "pass"
    assert Verdict.SURROGATE in {rule.verdict for rule in report.rules}
    assert any("surrogate" in note for note in report.notes)


def test_warn_lowers_a_staircase_and_says_so() -> None:
    def stairs(x: Any) -> Any:
        return jnp.round(3 * x[0]) + x[1] ** 2

    settings = Settings(measure=False, points=("start",), directions=2, warn=True)
    assert check_function(subject(stairs, [1.3, 1.0]), QUICK).verdict == "fail"
    report = check_function(subject(stairs, [1.3, 1.0], blocks=(Block(name="a"), Block(name="b"))), settings)
    assert any("warn" in note for note in report.notes)
    assert Verdict.STAIRCASE in {check.verdict for check in report.checks}


def test_second_order_catches_a_gradient_whose_own_derivative_is_stopped() -> None:
    @jax.custom_vjp
    def cube(x: Any) -> Any:
        return x**3

    cube.defvjp(lambda x: (x**3, x), lambda x, cotangent: (cotangent * 3 * lax.stop_gradient(x) ** 2,))
    function = lambda x: cube(x[0]) + x[1] ** 2  # noqa: E731 - one line
    second = Settings(measure=False, points=("start", "jitter"), directions=2, order=2)
    assert check_function(subject(function, [1.5, 1]), QUICK).verdict == "pass"
    report = check_function(subject(function, [1.5, 1]), second)
    assert report.verdict == "fail"
    right = check_function(subject(lambda x: x[0] ** 3 + x[0] * x[1], [1.5, 1]), second)
    assert right.verdict == "pass"
    assert any("second order" in check.direction for check in right.checks)


def test_a_null_direction_is_found_dense_and_by_lanczos() -> None:
    t = np.linspace(0.1, 1, 30)

    def residuals(theta: Any) -> Any:
        return jnp.exp(-t * (theta[0] + theta[1])) * theta[2]

    theta = np.asarray([1.0, 2.0, 3.0])
    (found,) = blind_directions(residuals, [(theta, np.abs(theta))])
    assert found is not None
    np.testing.assert_allclose(
        found.direction * np.sign(found.direction[0]), np.asarray([2, -1, 0]) / 5**0.5, atol=1e-7
    )

    matrix = np.random.default_rng(0).normal(size=(2100, 2100))
    matrix[:, 7] = matrix[:, 3]
    narrow = matrix[:40]
    (found,) = blind_directions(lambda theta: narrow @ theta, [(np.ones(2100), np.ones(2100))])
    assert found is not None


@pytest.mark.parametrize(
    ("ratio", "rows", "word"),
    [
        (-1.0, None, "sign"),
        (2.0, None, "factor 2"),
        (0.5, None, "factor 2"),
        (7.0, 7, "rows"),
        (1 / 9, 9, "mean"),
        (12.0, None, "12"),
    ],
)
def test_a_ratio_is_recognised(ratio: float, rows: int | None, word: str) -> None:
    assert word in factor_words(ratio, rows)
    assert factor_words(ratio * 1.01, rows) == ""


def test_a_nan_gradient_names_the_operation_and_its_line() -> None:
    def trap(x: Any) -> Any:
        return jnp.where(x[0] > 0, jnp.sqrt(x[0]), 0.0) + x[1]

    report = check_function(subject(trap, [0, 1], blocks=(Block(name="a"), Block(name="b"))), QUICK)
    (finding,) = (finding for finding in report.findings if finding.verdict is Verdict.NAN_GRAD)
    assert finding.parameter == "a"
    assert "`sqrt`" in finding.message
    assert "test_gradient_check_laws.py:" in finding.message
    assert "inside as well as outside" in finding.message


@pytest.mark.parametrize("free", [3, 3000])
def test_a_gradient_costs_few_times_its_value_for_any_number_of_parameters(free: int) -> None:
    """The cheap gradient principle (Baur and Strassen 1983), in the operations that XLA counts, an exponential as one."""
    weights = np.random.default_rng(0).normal(size=(40, free))
    functions = {
        "llsq": lambda x: jnp.mean((weights @ x - 1) ** 2),
        "logsumexp": lambda x: jax.scipy.special.logsumexp(weights * x),
        "network": lambda x: jnp.sum(jnp.tanh(jnp.tanh(jnp.tanh(weights * x) * x) * x)),
    }
    for name, function in functions.items():
        both = (jax.jit(each).lower(np.ones(free)).cost_analysis() for each in (function, jax.value_and_grad(function)))
        counted = [dict(costs or {}) for costs in both]
        value, gradient = (each["flops"] + each.get("transcendentals", 0) for each in counted)
        assert value > free
        assert gradient <= 5 * value, name


def test_a_budget_leaves_points_out_and_says_so() -> None:
    settings = Settings(measure=False, budget=1e-9)
    report = check_function(subject(lambda x: jnp.sum(x**2), [1, 2]), settings)
    assert report.points == ("start",)
    assert any("budget" in note for note in report.notes)
    assert report.verdict == "pass"


def test_a_domain_is_never_left() -> None:
    seen: list[float] = []

    def watched(x: Any) -> Any:
        jax.debug.callback(lambda value: seen.append(float(value)), x[0])
        return x[0] ** 1.5

    check_function(subject(watched, [0.01], lower=np.zeros(1), upper=np.full(1, 0.012)), QUICK)
    assert seen
    assert min(seen) >= 0
    assert max(seen) <= 0.012


def test_a_function_without_a_gradient_is_told_and_no_crash() -> None:
    def called(x: Any) -> Any:
        return jax.pure_callback(np.sin, jnp.zeros(()), x[0])

    report = check_function(subject(called, [1.0]), QUICK)
    assert report.verdict == "fail"
    assert "Pure callbacks do not support JVP" in report.findings[0].message


def test_a_wrong_entry_of_many_is_located() -> None:
    function = lambda x: jnp.sum(jnp.sin(x) * jnp.arange(1.0, 301.0))  # noqa: E731 - one line
    gradient = lambda x: jax.grad(function)(x).at[137].multiply(1.001)  # noqa: E731 - one line
    blocks = (Block(name="w", shape=(20, 15)),)
    report = check_function(subject(function, list(np.linspace(0.1, 1, 300)), gradient, blocks=blocks), QUICK)
    assert {finding.parameter for finding in report.findings if finding.verdict is Verdict.FAIL} == {"w[9,2]"}
