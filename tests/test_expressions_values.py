"""What an expression evaluates to, against Python's own parser, scipy, and one lowering against the other."""

from __future__ import annotations

import math
from typing import Any

import mpmath  # type: ignore[import-untyped] # mpmath ships no types
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitkit.backend import Kernel, jax, jnp
from fitkit.expressions import FUNCTIONS, ExpressionError, TextComparison, parse, to_jax, to_numpy

NAMES = ("x", "y", "lam")


ORACLE: dict[str, Any] = {
    **{name: getattr(math, name) for name in ("exp", "sin", "atan2", "tanh")},
    "abs": abs,
    "maximum": max,
    "where": lambda c, a, b: a if c else b,
    "truth": lambda value: float(bool(value)),
}

leaf = st.sampled_from(["x", "y", "lam", "2.0", "0.5", "3e0", ".25", "1."])


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return texts one level deeper, mostly without parentheses, so that precedence decides."""
    binary = st.sampled_from([" + ", " - ", "*", " / ", "**", "-", "+", " / ", " < ", " <= ", " == ", " != ", " > "])
    return st.one_of(
        st.tuples(inner, binary, inner).map("".join),
        st.tuples(inner, binary, inner, binary, inner).map("".join),
        inner.map(lambda t: f"({t})"),
        inner.map(lambda t: f"-{t}"),
        inner.map(lambda t: f"truth(not {t})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"truth({' '.join(t)})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        st.tuples(inner, inner, inner).map(lambda t: f"where({t[0]}, {t[1]}, {t[2]})"),
        st.tuples(st.sampled_from(["exp", "sin", "abs", "tanh"]), inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(st.sampled_from(["atan2", "maximum"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
    )


numbers = st.sampled_from([-2.5, -1.0, -0.3, 0.0, 0.7, 1.0, 2.0])


@given(st.recursive(leaf, compound, max_leaves=12), st.lists(numbers, min_size=3, max_size=3), st.booleans())
@settings(max_examples=600, derandomize=True, deadline=None)
def test_an_expression_means_what_python_reads_in_it(text: str, values: list[float], caret: bool) -> None:  # noqa: FBT001 - hypothesis
    environment = dict(zip(NAMES, values, strict=True))
    try:
        expected = complex(eval(text, {"__builtins__": {}}, {**ORACLE, **environment}))  # noqa: S307 - our own text
    except (ArithmeticError, ValueError):
        expected = complex(math.nan)
    ours = text.replace("truth", "").replace("lam", "lambda")
    ours = ours.replace("**", "^") if caret else ours
    try:
        found = float(to_numpy(parse(ours))({("lambda" if n == "lam" else n): v for n, v in environment.items()}))
    except ExpressionError as error:
        assert error.code == "E207"  # noqa: PT017 - a constant that is not finite
        return
    if expected.imag == 0 and math.isfinite(expected.real):
        assert found == pytest.approx(expected.real, rel=1e-12, abs=1e-12)


bounded = st.sampled_from(["tanh", "atan", "sigmoid", "erf", "abs", "softplus", "asinh", "sin", "relu", "lorentzian"])


def well_conditioned(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return texts in which rounding is never amplified by more than their length, so that 1e-12 is a fair demand."""

    def call(parts: tuple[str, str]) -> str:
        return f"lorentzian({parts[1]}, 0.2, 1.5)" if parts[0] == "lorentzian" else f"{parts[0]}({parts[1]})"

    return st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(lambda t: f"({''.join(t)})"),
        st.tuples(inner, inner).map(lambda t: f"{t[0]}/(1+abs({t[1]}))"),
        st.tuples(bounded, inner).map(call),
        st.tuples(inner, inner).map(lambda t: f"where(x < y, {t[0]}, {t[1]})"),
        st.tuples(inner, inner).map(lambda t: f"({t[0]} if s == 'a' and not lam > 0 else {t[1]})"),
        st.tuples(inner, inner).map(lambda t: f"minimum({t[0]}, {t[1]})"),
        inner.map(lambda t: f"(0.5+abs({t}))**1.5"),
        inner.map(lambda t: f"sqrt(0.1+({t})**2)"),
    )


@given(st.recursive(leaf, well_conditioned, max_leaves=6))
@settings(max_examples=150, derandomize=True, deadline=None)
def test_both_lowerings_agree(text: str) -> None:
    expression = parse(text)
    environment: dict[str | TextComparison, Any] = {
        "x": np.array([-1.5, 0.0, 0.4, 2.0]),
        "y": np.array([0.3, 0.0, -2.0, 1.0]),
        "lam": np.float64(-0.7),
        TextComparison("s", "==", "a"): np.array([True, False, True, False]),
    }
    found = to_jax(expression)({key: jnp.asarray(value) for key, value in environment.items()})
    expected = to_numpy(expression)(environment)
    np.testing.assert_allclose(np.broadcast_to(found, 4), np.broadcast_to(expected, 4), rtol=1e-12, atol=1e-12)


RANGES = {"asin": (-1, 1), "acos": (-1, 1), "atanh": (-0.99, 0.99), "acosh": (1, 20), "log1p": (-0.9, 9)}
POSITIVE = {"log", "log2", "log10", "sqrt", "lgamma", "digamma"}


def arguments(name: str) -> dict[str | TextComparison, Any]:
    """Return rows inside the domain of a function."""
    low, high = RANGES.get(FUNCTIONS[name].canonical, (0.05, 20) if FUNCTIONS[name].canonical in POSITIVE else (-6, 6))
    rows = np.random.default_rng(1).uniform(low, high, (2, 200))
    second = rows[1] if FUNCTIONS[name].arity[0] == 2 else np.float64(1.3)
    return {"a": rows[0], "b": second, "c": np.float64(0.8), "d": np.float64(0.4)}


def call(name: str) -> str:
    """Return a call of the function with as many arguments as it needs."""
    return f"{name}({', '.join('abcd'[: FUNCTIONS[name].arity[0]])})"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_is_the_same_in_both_lowerings(name: str) -> None:
    expression, environment = parse(call(name)), arguments(name)
    found = to_jax(expression)({key: jnp.asarray(value) for key, value in environment.items()})
    np.testing.assert_allclose(found, to_numpy(expression)(environment), rtol=1e-12, atol=2e-14)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_single_precision_stays_single_precision(name: str) -> None:
    function = to_jax(parse(f"2 * {call(name)} + where(a > 0, 1, 2) + (a < 1) + pi"))
    single: dict[str | TextComparison, Any] = {
        key: jnp.asarray(value, jnp.float32) for key, value in arguments(name).items()
    }
    assert function(single).dtype == jnp.float32
    if name not in {"lgamma", "digamma"}:  # XLA's own polynomials
        assert "f64" not in str(jax.make_jaxpr(lambda a: function({**single, "a": a}))(single["a"]))


def test_constants_take_the_precision_of_their_surroundings() -> None:
    is_a = TextComparison("s", "==", "a")
    environment: dict[str | TextComparison, Any] = {"x": jnp.ones(2, jnp.float32), is_a: jnp.asarray([True, False])}
    found = to_jax(parse("where(s == 'a', 2, 0.5)"))(environment)
    assert found.dtype == jnp.float32
    assert found.tolist() == [2.0, 0.5]


MPMATH = {
    "lgamma": lambda x: mpmath.log(abs(mpmath.gamma(x))),
    "digamma": mpmath.digamma,
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "expm1": mpmath.expm1,
    "log1p": mpmath.log1p,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "asinh": mpmath.asinh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
}


@pytest.mark.parametrize("name", MPMATH)
def test_special_functions_against_arbitrary_precision(name: str) -> None:
    xs = [1e-8, 0.1, 0.9, 1.7, 5.3, 20.0] + ([] if name in {"lgamma", "digamma"} else [-0.7])
    with mpmath.workdps(40):
        expected = [float(MPMATH[name](mpmath.mpf(x))) for x in xs]
    for lowered in (to_numpy, to_jax):
        values = lowered(parse(f"{name}(x)"))({"x": jnp.asarray(xs)})
        np.testing.assert_allclose(values, expected, rtol=2e-14, atol=2e-15)
    constants = [float(to_numpy(parse(f"{name}({x})"))({})) for x in xs]
    np.testing.assert_allclose(constants, expected, rtol=2e-14, atol=2e-15)


def test_the_shapes_are_what_is_documented() -> None:
    x = np.linspace(-30, 30, 601)
    lowered = {
        name: to_jax(parse(text))
        for name, text in {
            "gaussian": "gaussian(x, 0.3, 1.7)",
            "lorentzian": "lorentzian(x, 0.3, 0.9)",
            "pseudo_voigt": "pseudo_voigt(x, 0.3, 2.2, 0.25)",
        }.items()
    }
    found = {name: np.asarray(function({"x": jnp.asarray(x)})) for name, function in lowered.items()}
    sigma = 2.2 / (2 * math.sqrt(2 * math.log(2)))
    np.testing.assert_allclose(found["gaussian"], np.exp(-((x - 0.3) ** 2) / (2 * 1.7**2)), rtol=1e-12)
    np.testing.assert_allclose(found["lorentzian"], 0.9**2 / ((x - 0.3) ** 2 + 0.9**2), rtol=1e-12)
    mixture = 0.25 * 1.1**2 / ((x - 0.3) ** 2 + 1.1**2) + 0.75 * np.exp(-((x - 0.3) ** 2) / (2 * sigma**2))
    np.testing.assert_allclose(found["pseudo_voigt"], mixture, rtol=1e-12)


def test_voigt_against_scipy() -> None:
    from scipy.special import voigt_profile

    generator = np.random.default_rng(2)
    x = np.concatenate([np.linspace(-40, 40, 2001), 10.0 ** generator.uniform(-8, 4, 2000)])
    function = to_jax(parse("voigt(x, 0, s, g)"))
    for sigma in (1e-3, 0.3, 1.0, 25.0):
        for gamma in (0.0, 1e-9, 1e-3, 0.2, 3.0, 50.0):
            found = function({"x": jnp.asarray(x), "s": jnp.asarray(sigma), "g": jnp.asarray(gamma)})
            expected = voigt_profile(x, sigma, gamma) / voigt_profile(0.0, sigma, gamma)
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-300)


def test_voigt_against_its_integral() -> None:
    with mpmath.workdps(30):

        def profile(x: float) -> Any:
            return mpmath.quad(
                lambda t: mpmath.exp(-(t**2) / 2) / ((x - t) ** 2 + mpmath.mpf("0.36")), [-12, -2, 0, x, x + 1, 12]
            )

        expected = [float(profile(x) / profile(0.0)) for x in (0.5, 1.0, 2.5)]
    found = to_jax(parse("voigt(x, 2, 1, -0.6)"))({"x": jnp.asarray([2.5, 3.0, 4.5])})
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_voigt_derivatives() -> None:
    from scipy.special import erfcx, wofz

    function = to_jax(parse("voigt(x, 0, s, g)"))

    @Kernel
    def derivatives(x: Any, y: Any) -> Any:
        def row(x: Any, y: Any) -> Any:
            return function({"x": x, "s": jnp.asarray(math.sqrt(0.5)), "g": y})

        return tuple(jax.vmap(f)(x, y) for f in (jax.grad(row), jax.grad(jax.jacfwd(row)), jax.grad(row, 1)))

    x, y = (part.ravel() for part in np.meshgrid(np.linspace(-9, 9, 61), [0.01, 0.3, 2.0, 7.0]))
    z = x + 1j * y
    w, height = wofz(z), erfcx(y)
    slope = -2 * z * w + 2j / math.sqrt(math.pi)  # w'(z)
    curvature = -2 * w - 2 * z * slope
    by_y = -slope.imag / height - w.real / height**2 * (2 * y * height - 2 / math.sqrt(math.pi))
    found = derivatives.light(jnp.asarray(x), jnp.asarray(y))
    np.testing.assert_allclose(found[0], slope.real / height, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found[1], curvature.real / height, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(found[2], by_y, rtol=1e-10, atol=1e-13)


def test_integers_become_floats_and_shapes_broadcast() -> None:
    function = to_jax(parse("x / n + (x > 1)"))
    found = function({"x": jnp.asarray([1, 2, 3]), "n": jnp.asarray(2)})
    assert found.dtype == jnp.float64
    assert found.tolist() == [0.5, 2.0, 2.5]


def test_a_missing_name_is_a_key_error() -> None:
    for lowered in (to_jax, to_numpy):
        with pytest.raises(KeyError, match="y"):
            lowered(parse("x + y"))({"x": jnp.asarray(1.0)})


def test_nothing_warns_where_a_value_does_not_exist() -> None:
    values = to_numpy(parse("log(x) + 1 / x + x ** 0.5 + asin(x * 9)"))({"x": np.array([-1.0, 0.0, 1e308])})
    assert not np.isfinite(values).any()
