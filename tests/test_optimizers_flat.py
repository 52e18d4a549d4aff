"""What the data do not tell: a flat minimum is named, with the combination of parameters that is free."""

from __future__ import annotations

import numpy as np
import pytest
from fitting import pure, right_digits, rows

X = [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "newton"])
def test_a_product_of_parameters_is_not_identified(optimizer: str) -> None:
    found = rows("y ~ a * b * x + c", [0, 1.1, 2.2, 2.9, 4], optimizer, parameters={"a": 1, "b": 2, "c": 0})
    assert found.verdict == ("not_converged", 4, "not_identified")
    assert "a, b" in found.result.message
    assert found.result.evidence is not None
    assert (found.result.evidence.minimum, found.result.evidence.flat) == ("flat", (("a", "b"),))
    flags = {name: parameter.flags for name, parameter in found.result.parameters.items()}
    assert flags == {"a": ("not_identified",), "b": ("not_identified",), "c": ()}
    assert np.isnan(found.errors[:2]).all()


@pytest.mark.parametrize("start", [(0.3, 2.5), (1.0, 1.1), (2.7, 0.4)])
@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "newton"])
def test_a_valley_is_flat_wherever_on_its_slope_the_search_ends(optimizer: str, start: tuple[float, float]) -> None:
    """Beside the bottom of a valley the curvature along it is not zero, and of any sign."""
    begin = {"a": start[0] / 3, "b": start[1] / 3, "c": 1}
    y = [0.3, 1.8, 4.4, 5.2, 8.9]
    assert rows("y ~ a * b * x + c", y, optimizer, parameters=begin).verdict == ("not_converged", 4, "not_identified")
    assert rows("y ~ exp(a * b) * x + c", y, optimizer, parameters=begin).result.reason == "not_identified"
    if optimizer != "lm":
        counts = [1.0, 7.0, 5.0, 3.0, 10.0]
        found = rows("y ~ exp(a * b * x + c)", counts, optimizer, loss="poisson", parameters=begin)
        assert found.verdict == ("not_converged", 4, "not_identified")
        assert pure("(a * b - 1)**2 + (a * b - 1)**4 + 1", a=start[0], b=start[1]).result.reason == "not_identified"


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "newton"])
def test_two_equal_terms_are_not_identified_but_what_they_share_is(optimizer: str) -> None:
    found = rows(
        "y ~ a * exp(-k * x) + b * exp(-k * x)", [5, 3, 2.1, 1.2, 0.8], optimizer, parameters={"a": 1, "k": 1, "b": 1}
    )
    assert found.verdict == ("not_converged", 4, "not_identified")
    assert "a, b" in found.result.message
    assert found.result.parameters["k"].flags == ()


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "newton"])
def test_a_flat_minimum_is_accepted_where_the_config_says_so(optimizer: str) -> None:
    y = [0, 1.1, 2.2, 2.9, 4]
    found = rows("y ~ a * b * x", y, optimizer, parameters={"a": 1, "b": 2}, stopping={"allow_flat": True})
    assert found.verdict[:2] == ("converged", 0)
    assert right_digits(np.prod(found.values), np.dot(X, y) / np.dot(X, X)) >= 8
    assert np.isnan(found.errors).all()
    assert {flag for parameter in found.result.parameters.values() for flag in parameter.flags} == {"not_identified"}


def test_duplicate_columns_of_counts_are_not_identified() -> None:
    found = rows(
        "y ~ exp(a + b + c * x)", [3, 1, 4, 1, 5], "lbfgs", loss="poisson", parameters={"a": 0, "b": 0.5, "c": 0}
    )
    assert found.verdict == ("not_converged", 4, "not_identified")
    assert "a, b" in found.result.message
