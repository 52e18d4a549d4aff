"""A gradient is finite, and right, wherever the branch that was chosen is: in every mode and of second order too."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitkit.backend import Kernel, jax, jnp
from fitkit.expressions import Expression, parse, to_jax, to_numpy

MODES: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "reverse, forward over reverse": lambda f: (jax.grad(f), jax.jacfwd(jax.grad(f))),
    "forward, reverse over forward": lambda f: (jax.jacfwd(f), jax.jacrev(jax.jacfwd(f))),
    "reverse, reverse over reverse": lambda f: (jax.jacrev(f), jax.grad(jax.grad(f))),
    "forward, forward over forward": lambda f: (jax.jacfwd(f), jax.jacfwd(jax.jacfwd(f))),
}

DEFINITIONS: dict[str, Expression] = {"d": parse("x - 1"), "singular": parse("1 / x")}
DEFINITIONS["root"] = parse("sqrt(d)", DEFINITIONS)

GUARDED = [
    # text, x, value, slope, curvature
    ("where(x > 0, log(x), 0)", 0.0, 0.0, 0.0, 0.0),
    ("where(x > 0, log(x), 0)", -1.0, 0.0, 0.0, 0.0),
    ("where(x > 0, log(x), 0)", 2.0, math.log(2), 0.5, -0.25),
    ("log(x) if x > 0 else x**2", 0.0, 0.0, 0.0, 2.0),
    ("where(x == 0, 1, sin(x) / x)", 0.0, 1.0, 0.0, 0.0),
    ("where(x > 0, sqrt(x), x) + 3 * x", 0.0, 0.0, 4.0, 0.0),
    ("where(x > 1, where(x > 2, log(x - 2), 1 / (x - 1)), x**3)", 1.0, 1.0, 3.0, 6.0),
    ("where(x > 1, where(x > 2, log(x - 2), 1 / (x - 1)), x**3)", 2.0, 1.0, -1.0, 2.0),
    ("where(x < 1, d, root)", 0.0, -1.0, 1.0, 0.0),
    ("where(x < 1, d, root) + d", 1.0, 0.0, 1.0, 0.0),
    ("where(x == 1, d, 1 / d) + d**2", 1.0, 0.0, 1.0, 2.0),
    ("where(x == 0, 0, singular) + where(x != 0, singular**2, x)", 0.0, 0.0, 1.0, 0.0),
    ("where(x > 0, x * log(x), 0)", 0.0, 0.0, 0.0, 0.0),
    ("where(log(x) > -1, x, 5 * x)", 0.0, 0.0, 5.0, 0.0),
    ("where(x > 0 and 1 / x < 5, 1 / x, x)", 0.0, 0.0, 1.0, 0.0),
    ("minimum(1 / x, 2) * x", 0.0, 0.0, 2.0, 0.0),
    ("maximum(-1 / x**2, x)", 0.0, 0.0, 1.0, 0.0),
    ("clip(log(x), -1, 1) + x", 0.0, -1.0, 1.0, 0.0),
    ("relu(log(x)) + x", 0.0, 0.0, 1.0, 0.0),
    ("relu(x)", 0.0, 0.0, 0.0, 0.0),
    ("maximum(x, 0)", 0.0, 0.0, 0.5, 0.0),
    ("sign(1 / x) + floor(x / 0.3) + x", 1.0, 5.0, 1.0, 0.0),
    ("sign(1 / x) + x", 0.0, 1.0, 1.0, 0.0),
    ("(x > 0) * x + ceil(sqrt(x))", 0.0, 0.0, 0.0, 0.0),
    ("sqrt(x)", 0.0, 0.0, 0.0, 0.0),
    ("sqrt(x)", 4.0, 2.0, 0.25, -1 / 32),
    ("sqrt(x**2)", 0.0, 0.0, 0.0, 0.0),
    ("cbrt(x)", 0.0, 0.0, 0.0, 0.0),
    ("cbrt(x)", -8.0, -2.0, 1 / 12, 1 / 144),
    ("abs(x)", 0.0, 0.0, 0.0, 0.0),
    ("abs(x)", -2.0, 2.0, -1.0, 0.0),
    ("hypot(x, 0)", 0.0, 0.0, 0.0, 0.0),
    ("hypot(x, x)", -3.0, 3 * math.sqrt(2), -math.sqrt(2), 0.0),
    ("hypot(x, 4)", 3.0, 5.0, 0.6, 16 / 125),
    ("atan2(x, 0 * x)", 0.0, 0.0, 0.0, 0.0),
    ("asin(x)", 1.0, math.pi / 2, 0.0, 0.0),
    ("acos(x)", -1.0, math.pi, 0.0, 0.0),
    ("acosh(x)", 1.0, 0.0, 0.0, 0.0),
    ("x**0", 0.0, 1.0, 0.0, 0.0),
    ("x**1", 0.0, 0.0, 1.0, 0.0),
    ("x**2", 0.0, 0.0, 0.0, 2.0),
    ("x**2", -3.0, 9.0, -6.0, 2.0),
    ("x**-1", -2.0, -0.5, -0.25, -0.25),
    ("x**70", -1.0, 1.0, -70.0, 4830.0),
    ("x**0.5", 0.0, 0.0, 0.0, 0.0),
    ("x**1.5", 0.0, 0.0, 0.0, 0.0),
    ("x**2.5", 0.0, 0.0, 0.0, 0.0),
    ("x**1.5", 4.0, 8.0, 3.0, 3 / 8),
    ("x**p", 0.0, 0.0, 0.0, 2.0),
    ("x**p", -3.0, 9.0, -6.0, 2.0),
    ("x**(p/2)", 0.0, 0.0, 1.0, 0.0),
    ("x**(p/4)", 0.0, 0.0, 0.0, 0.0),
    ("2**x", 3.0, 8.0, 8 * math.log(2), 8 * math.log(2) ** 2),
    ("x**x", 2.0, 4.0, 4 * (1 + math.log(2)), 4 * ((1 + math.log(2)) ** 2 + 0.5)),
    ("0**x", 1.0, 0.0, 0.0, 0.0),
    ("(-2)**x", 2.0, 4.0, 0.0, 0.0),
    ("gaussian(x, 0, 1)", 1.0, math.exp(-0.5), -math.exp(-0.5), 0.0),
    ("softplus(x)", 0.0, math.log(2), 0.5, 0.25),
    ("where(s, x, log(x))", 0.0, -math.inf, math.inf, -math.inf),
]
SINGULAR = GUARDED.pop()


@pytest.mark.parametrize(
    ("text", "x", "value", "slope", "curvature"), GUARDED, ids=[f"{g[0]} at {g[1]}" for g in GUARDED]
)
def test_value_slope_and_curvature(text: str, x: float, value: float, slope: float, curvature: float) -> None:
    function = to_jax(parse(text, DEFINITIONS))

    def f(x: Any) -> Any:
        return function({"x": x, "p": jnp.asarray(2.0)})

    modes = [mode(f) for mode in MODES.values()]
    found = Kernel(lambda x: [(f(x), first(x), second(x)) for first, second in modes]).light(jnp.asarray(x))
    for name, triple in zip(MODES, found, strict=True):
        np.testing.assert_allclose(triple, (value, slope, curvature), rtol=1e-13, atol=1e-14, err_msg=name)


def test_a_singular_branch_that_is_chosen_is_not_hidden() -> None:
    function = to_jax(parse(SINGULAR[0]))
    value, slope = jax.value_and_grad(lambda x: function({"x": x, "s": jnp.asarray(0.0)}))(0.0)
    assert value == -math.inf
    assert slope == math.inf


def test_the_exponent_has_a_finite_slope_at_zero() -> None:
    function = to_jax(parse("x**p"))
    for p in (0.5, 1.0, 2.0, 3.5):
        slope, curvature = (
            g(jnp.asarray(p))
            for g in MODES["reverse, forward over reverse"](lambda p: function({"x": jnp.asarray(0.0), "p": p}))
        )
        assert slope == curvature == 0.0


@pytest.mark.parametrize(
    ("text", "x", "value", "slope", "curvature"), GUARDED, ids=[f"{g[0]} at {g[1]}" for g in GUARDED]
)
def test_rows_do_not_disturb_each_other(text: str, x: float, value: float, slope: float, curvature: float) -> None:
    """The gradient of a sum over rows, compiled, with the singular row among others; and each row by itself by vmap."""
    function = to_jax(parse(text, DEFINITIONS))
    rows = jnp.asarray([x, 2.5, x])

    def row(x: Any) -> Any:
        return function({"x": x, "p": jnp.asarray(2.0)})

    def total(a: Any) -> Any:
        return jnp.sum(row(a + rows))

    @Kernel
    def everything(a: Any) -> Any:
        slopes, curvatures = jax.vmap(jax.grad(row))(rows), jax.vmap(jax.hessian(row))(rows)
        return (total(a), jax.grad(total)(a), jax.hessian(total)(a)), (row(rows), slopes, curvatures)

    found, by_row = (np.asarray(part) for part in everything.light(jnp.asarray(0.0)))
    expected = [value, slope, curvature]
    np.testing.assert_allclose(by_row[:, 0], expected, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(by_row[:, 2], expected, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(by_row[0, 1], to_numpy(parse(text, DEFINITIONS))({"x": 2.5, "p": 2.0}), rtol=1e-13)
    np.testing.assert_allclose(found, by_row.sum(axis=1), rtol=1e-12, atol=1e-13)


PIECES = st.sampled_from(
    ["log(x)", "sqrt(x)", "1 / x", "x**1.5", "x**-2", "asin(x)", "log(a)", "1 / (x - a)", "x * a", "a**x"]
)
CONDITIONS = st.sampled_from(["x > 0", "x < a", "x == 0", "log(x) > a", "a", "not x", "x > 0 and a < 1", "1 / x > 2"])


def branches(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return texts one level deeper."""
    return st.one_of(
        st.tuples(CONDITIONS, inner, inner).map(lambda t: f"where({', '.join(t)})"),
        st.tuples(inner, st.sampled_from([" + ", " * "]), inner).map(lambda t: f"({''.join(t)})"),
    )


def chosen(text: str, x: float, a: float) -> str:
    """Return `text` with each branch replaced by the one that is chosen, by Python's parser and numpy's arithmetic."""
    import ast

    names = {"x": np.float64(x), "a": np.float64(a), "log": np.log, "sqrt": np.sqrt, "asin": np.arcsin}

    class Choose(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            self.generic_visit(node)
            if not (isinstance(node.func, ast.Name) and node.func.id == "where"):
                return node
            condition = eval(ast.unparse(node.args[0]), {"__builtins__": {}}, names)  # noqa: S307 - our own text
            return node.args[1] if condition else node.args[2]

    with np.errstate(all="ignore"):
        return ast.unparse(Choose().visit(ast.parse(text, mode="eval")))


@given(
    st.recursive(PIECES, branches, max_leaves=8),
    st.sampled_from([-1.0, 0.0, 0.5, 1.0]),
    st.sampled_from([-1.0, 0.0, 1.0]),
)
@settings(max_examples=40, derandomize=True, deadline=None)
def test_a_gradient_is_that_of_the_chosen_branch(part: str, x: float, a: float) -> None:
    """The law behind the table: where what was chosen has a finite gradient by itself, the whole has the same one."""
    text = "where(x > 0, part, x) + where(a > 0, part * part, a)"
    whole = to_jax(parse(text, {"part": parse(part)}))
    alone = to_jax(parse(chosen(text.replace("part", f"({part})"), x, a)))
    point = {"x": jnp.asarray(x), "a": jnp.asarray(a)}
    for mode in (jax.grad, jax.jacfwd):
        expected = mode(alone)(point)
        if np.isfinite([expected["x"], expected["a"]]).all():
            found = mode(whole)(point)
            for name in point:
                np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, atol=1e-12)


def test_branches_within_branches_cost_no_more_than_they_are_long() -> None:
    """Thirty definitions that use the one before in both of their branches: copies would make 2**30 of the first."""
    definitions = {"d0": parse("log(x)")}
    for n in range(30):
        definitions[f"d{n + 1}"] = parse(f"where(x > {n}, d{n} + 1, d{n} * x)", definitions)
    function = to_jax(parse("d30", definitions))
    jaxpr = jax.make_jaxpr(jax.grad(lambda x: function({"x": x})))(1.5)
    assert len(jaxpr.eqns) < 3_000
    value = to_numpy(parse("d30", definitions))({"x": 1.5})
    assert function({"x": jnp.asarray(1.5)}) == pytest.approx(float(value), rel=1e-12)
    assert float(value) == pytest.approx((math.log(1.5) + 2) * 1.5**28, rel=1e-12)


def test_a_hundred_nested_branches() -> None:
    text = "0 if x < 0 else " + "".join(f"log(x - {n}) if x > {n + 1} else " for n in range(90)) + "x"
    function = to_jax(parse(text))
    slope = jax.grad(lambda x: function({"x": x}))(0.5)
    assert slope == 1.0
    assert jax.grad(lambda x: function({"x": x}))(-1.0) == 0.0


def test_thirty_squares_are_thirty_products() -> None:
    definitions = {"d0": parse("x")}
    for n in range(30):
        definitions[f"d{n + 1}"] = parse(f"d{n} * d{n}", definitions)
    function = to_jax(parse("d30", definitions))
    jaxpr = jax.make_jaxpr(lambda x: function({"x": x}))(jnp.ones(3))
    assert len(jaxpr.eqns) == 30
