"""The tables are what their sources say, and the configs of NIST's problems ask NIST's questions."""

from __future__ import annotations

import json
import math
import runpy
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
NIST = ROOT / "datasets" / "nist"
CERTIFIED = json.loads((NIST / "certified.json").read_text(encoding="utf-8"))
NONLINEAR: dict[str, dict[str, Any]] = CERTIFIED["nonlinear"]
LINEAR: dict[str, dict[str, Any]] = CERTIFIED["linear"]
PROBLEMS = NONLINEAR | LINEAR
FUNCTIONS = {name: getattr(np, name) for name in ("exp", "cos", "sin", "arctan", "log", "pi")}

Array = npt.NDArray[Any]


def read(path: Path) -> dict[str, Array]:
    """A table by an independent reader: the csv is split by hand and every field is a Python float."""
    header, *rows = [line.split(",") for line in path.read_text(encoding="ascii").splitlines()]
    columns = zip(*rows, strict=True)
    return {name: np.array([float(field) for field in column]) for name, column in zip(header, columns, strict=True)}


def evaluate(formula: str, names: Mapping[str, Any]) -> Array:
    """A formula of certified.json or of a config, as Python evaluates it over numpy."""
    result: Array = eval(formula, {"__builtins__": {}}, {**FUNCTIONS, **names})  # noqa: S307 - our own files
    return result


def residuals(problem: Mapping[str, Any], values: list[Any]) -> Array:
    table = read(NIST / problem["file"])
    response = evaluate(problem.get("response_transform") or problem["response"], table)
    prediction = evaluate(problem["formula"], {**table, **dict(zip(problem["parameter_names"], values, strict=True))})
    return response - prediction


def jacobian(problem: Mapping[str, Any], values: list[float]) -> Array:
    """Derivatives by a complex step, exact to rounding for analytic formulas."""
    columns = []
    for i, value in enumerate(values):
        step = 1e-30 * abs(value)
        moved: list[Any] = list(values)
        moved[i] = complex(value, step)
        columns.append(-residuals(problem, moved).imag / step)
    return np.stack(columns, axis=1)


def load(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return config


def test_all_problems_are_here() -> None:
    assert len(NONLINEAR) == 27
    assert len(LINEAR) == 11
    assert {path.stem for path in NIST.glob("*.csv")} == set(PROBLEMS)


@pytest.mark.parametrize("name", PROBLEMS)
def test_table_has_the_certified_rows_and_columns(name: str) -> None:
    problem = PROBLEMS[name]
    content = (NIST / problem["file"]).read_bytes()
    assert content.endswith(b"\n")
    assert not set(content) - set(b"abcdefghijklmnopqrstuvwxyz0123456789,.-+\n")
    table = read(NIST / problem["file"])
    assert list(table) == problem["columns"] == [*problem["predictors"], problem["response"]]
    assert {len(column) for column in table.values()} == {problem["n_observations"]}
    assert all(np.isfinite(column).all() for column in table.values())


@pytest.mark.parametrize("name", PROBLEMS)
def test_certified_numbers_are_those_printed(name: str) -> None:
    problem = PROBLEMS[name]
    assert problem["certified"] == [float(text) for text in problem["certified_text"]]
    assert problem["certified_std"] == [float(text) for text in problem["certified_std_text"]]
    assert problem["residual_sum_of_squares"] == float(problem["residual_sum_of_squares_text"])
    assert len(problem["certified"]) == len(problem["parameter_names"]) == problem["n_parameters"]
    assert problem["degrees_of_freedom"] == problem["n_observations"] - problem["n_parameters"]


def test_rat43_prints_the_wrong_degrees_of_freedom() -> None:
    wrong = {name for name, p in NONLINEAR.items() if p["degrees_of_freedom_in_nist_file"] != p["degrees_of_freedom"]}
    assert wrong == {"Rat43"}
    problem = NONLINEAR["Rat43"]
    assert (problem["degrees_of_freedom"], problem["degrees_of_freedom_in_nist_file"]) == (11, 9)
    variance = problem["residual_sum_of_squares"] / problem["degrees_of_freedom"]
    assert math.isclose(math.sqrt(variance), problem["residual_std_dev"], rel_tol=1e-9)


@pytest.mark.parametrize("name", [name for name in NONLINEAR if name != "Lanczos1"])
def test_certified_parameters_give_the_certified_sum_of_squares(name: str) -> None:
    problem = NONLINEAR[name]
    rounding = {"Lanczos2": 1.1e-10}.get(name, 5e-11)  # 11 digits; Lanczos2's small residuals lose a little of them
    rss = float(np.sum(residuals(problem, problem["certified"]) ** 2))
    assert math.isclose(rss, problem["residual_sum_of_squares"], rel_tol=rounding)


def test_residuals_of_lanczos1_are_at_rounding_level() -> None:
    problem = NONLINEAR["Lanczos1"]
    certified = problem["residual_sum_of_squares"]
    assert 1e4 * certified < np.sum(residuals(problem, problem["certified"]) ** 2) < 1e-20
    optimum = [float(digits) for digits in problem["optimum_60_digits"]]
    assert math.isclose(np.sum(residuals(problem, optimum) ** 2), certified, rel_tol=5e-3)


@pytest.mark.parametrize("name", NONLINEAR)
def test_optimum_rounds_to_the_certificate_and_is_stationary(name: str) -> None:
    problem = NONLINEAR[name]
    optimum = [float(digits) for digits in problem["optimum_60_digits"]]
    np.testing.assert_allclose(optimum, problem["certified"], rtol=5.01e-11)
    if name == "Lanczos1":  # its residuals carry two digits in doubles, so a slope means nothing
        return
    r, slopes = residuals(problem, optimum), jacobian(problem, optimum)
    cosines = slopes.T @ r / (np.linalg.norm(slopes, axis=0) * np.linalg.norm(r))
    assert np.max(np.abs(cosines)) < 1e-8


@pytest.mark.parametrize("name", NONLINEAR)
def test_certified_standard_deviations_follow_from_the_definition(name: str) -> None:
    problem = NONLINEAR[name]
    slopes = jacobian(problem, [float(digits) for digits in problem["optimum_60_digits"]])
    lengths = np.linalg.norm(slopes, axis=0)
    inverse = np.linalg.inv(np.linalg.qr(slopes / lengths, mode="r"))
    variance = problem["residual_sum_of_squares"] / problem["degrees_of_freedom"]
    deviations = np.linalg.norm(inverse, axis=1) / lengths * math.sqrt(variance)
    np.testing.assert_allclose(deviations, problem["certified_std"], rtol=1e-9)


def exact_solution(problem: Mapping[str, Any]) -> tuple[list[Fraction], list[Fraction], Fraction]:
    """Least squares, its variances and its sum of squares from the printed digits in rational arithmetic."""
    header, *lines = [line.split(",") for line in (NIST / problem["file"]).read_text(encoding="ascii").splitlines()]
    rows = [dict(zip(header, map(Fraction, line), strict=True)) for line in lines]
    design = [[eval(term, {"__builtins__": {}}, row) + Fraction(0) for term in problem["design_terms"]] for row in rows]  # noqa: S307 - our own file
    response = [row[problem["response"]] for row in rows]
    size = len(problem["design_terms"])
    work = [[sum((a[i] * a[j] for a in design), Fraction(0)) for j in range(size)] for i in range(size)]
    for i in range(size):
        work[i] += [Fraction(i == j) for j in range(size)]
        work[i].append(sum((a[i] * y for a, y in zip(design, response, strict=True)), Fraction(0)))
    for i in range(size):  # Gauss-Jordan; the normal matrix is positive definite, so no pivot vanishes
        work[i] = [value / work[i][i] for value in work[i]]
        for k in set(range(size)) - {i}:
            work[k] = [value - work[k][i] * pivot for value, pivot in zip(work[k], work[i], strict=True)]
    solution = [row[-1] for row in work]
    pairs = zip(design, response, strict=True)
    rss = sum(((y - sum(a * b for a, b in zip(row, solution, strict=True))) ** 2 for row, y in pairs), Fraction(0))
    return solution, [work[i][size + i] * rss / problem["degrees_of_freedom"] for i in range(size)], rss


@pytest.mark.parametrize("name", LINEAR)
def test_linear_certificates_are_the_exact_solution(name: str) -> None:
    problem = LINEAR[name]
    solution, variances, rss = exact_solution(problem)
    deviations = [math.sqrt(variance) for variance in variances]
    np.testing.assert_allclose([float(value) for value in solution], problem["certified"], rtol=5e-15)
    np.testing.assert_allclose(deviations, problem["certified_std"], rtol=5e-15)
    assert math.isclose(rss, problem["residual_sum_of_squares"], rel_tol=5e-15)
    np.testing.assert_allclose([float(v) for v in solution], [float(t) for t in problem["exact_beta_17g"]], rtol=1e-15)
    np.testing.assert_allclose(deviations, [float(t) for t in problem["exact_std_17g"]], rtol=1e-15)
    assert math.isclose(rss, float(problem["exact_rss_17g"]), rel_tol=1e-15)


@pytest.mark.parametrize("name", NONLINEAR)
def test_nonlinear_config_asks_for_the_problem_from_its_second_start(name: str) -> None:
    problem, path = NONLINEAR[name], ROOT / "configs" / "nist" / f"{name}.yaml"
    config = load(path)
    assert set(config) == {"description", "data", "model", "parameters"}
    assert (path.parent / config["data"]).resolve() == NIST / problem["file"]
    start = {key: float(value) for key, value in config["parameters"].items()}
    assert list(start.items()) == list(zip(problem["parameter_names"], problem["start2"], strict=True))
    target, formula = config["model"].split(" ~ ")
    assert target == (problem["response_transform"] or problem["response"])
    table = read(NIST / problem["file"])
    for values in (problem["start2"], problem["certified"]):
        names = {**table, **dict(zip(problem["parameter_names"], values, strict=True))}
        np.testing.assert_allclose(evaluate(formula, names), evaluate(problem["formula"], names), rtol=1e-10)


@pytest.mark.parametrize("name", LINEAR)
def test_linear_config_asks_for_the_problem(name: str) -> None:
    problem, path = LINEAR[name], ROOT / "configs" / "nist_linear" / f"{name}.yaml"
    config = load(path)
    assert (path.parent / config["data"]).resolve() == NIST / problem["file"]
    model = config["model"]
    assert model["target"] == problem["response"]
    if model["kind"] == "polynomial":
        powers = [f"{model['input']}**{power}" for power in range(2, model["degree"] + 1)]
        terms = ["1", model["input"], *powers]
    else:
        terms = ["1"] * model.get("intercept", True) + model["inputs"]
    assert terms == problem["design_terms"]


def test_generated_tables_come_out_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = runpy.run_path(str(ROOT / "datasets" / "make_tables.py"))
    monkeypatch.setitem(script["write"].__globals__, "FOLDER", tmp_path)
    script["main"]()
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"decay.csv", "outliers.csv", "oscillator.csv", "ratings.csv"}
    assert all((tmp_path / name).read_bytes() == (ROOT / "datasets" / name).read_bytes() for name in written)


def test_challenger_table_gives_the_published_logistic_fit() -> None:
    # Logit of distress = 15.0429 - 0.2322 temperature with standard errors 7.3786 and 0.1082, as textbooks print it.
    table = read(ROOT / "datasets" / "challenger.csv")
    design = np.stack([np.ones(23), table["temperature"]], axis=1)
    beta = np.zeros(2)
    for _ in range(20):
        p = 1 / (1 + np.exp(-design @ beta))
        information = design.T @ (design * (p * (1 - p))[:, None])
        beta = beta + np.linalg.solve(information, design.T @ (table["distress"] - p))
    np.testing.assert_allclose(beta, [15.0429, -0.2322], atol=5e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(np.linalg.inv(information))), [7.3786, 0.1082], atol=5e-5)


def test_engel_table_gives_the_published_line() -> None:
    table = read(ROOT / "datasets" / "engel.csv")  # statsmodels' example of quantile regression prints this line
    slope, intercept = np.polyfit(table["income"], table["foodexp"], 1)
    np.testing.assert_allclose([intercept, slope], [147.475389, 0.485178], rtol=2e-6)


def test_every_table_is_listed_with_its_source() -> None:
    listed = (ROOT / "datasets" / "README.md").read_text(encoding="utf-8")
    assert all(f"`{path.name}`" in listed for path in (ROOT / "datasets").glob("*.csv"))
