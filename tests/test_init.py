"""`fitkit init`: a config that runs as it stands, from starts that lead to the certified or the simulated truth."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import ROOT, fitkit, python, written
from fitting import fit
from numpy.typing import NDArray

from fitkit.guess import guess_starts, read_sketch
from fitkit.guess.candidates import Span, scale_of
from fitkit.guess.projection import linear_parameters, project
from fitkit.guess.units import implied_units, shifting
from fitkit.run.assemble import assemble

Columns = dict[str, NDArray[np.float64]]
NIST: dict[str, dict[str, Any]] = json.loads((ROOT / "datasets/nist/certified.json").read_text())["nonlinear"]
DECAY = ("datasets/decay.csv", "counts ~ amplitude * exp(-rate * t) + background")


def table(folder: Path, columns: Columns, name: str = "d.csv") -> Path:
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return written(folder, name, ",".join(columns) + "\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows))


def noisy(values: NDArray[np.float64]) -> NDArray[np.float64]:
    noise: NDArray[np.float64] = np.random.default_rng(1).normal(size=len(values))
    return values + 0.01 * np.ptp(values) * noise


# -- right starts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NIST)
def test_nists_problems_converge_to_the_certified_minimum_from_the_guess(name: str) -> None:
    certified = NIST[name]
    formula = f"{certified['response_transform'] or certified['response']} ~ {certified['formula']}"
    sketch = read_sketch(str(ROOT / "datasets/nist" / certified["file"]), formula)
    guess = guess_starts(sketch)
    assert set(guess.starts) == set(certified["parameter_names"])
    found = fit({"data": str(sketch.data), "model": formula, "parameters": guess.starts})
    assert found.verdict[:2] == ("converged", 0)
    assert found.result.fit is not None
    assert found.result.fit.rss == pytest.approx(certified["residual_sum_of_squares"], rel=1e-6, abs=1e-20)
    assert found.result.steps is not None
    assert found.result.steps <= 30, "the guess is near"


T = np.linspace(0, 10, 60)
V = np.linspace(0.1, 8, 25)
W = np.linspace(400, 700, 120)
YEAR = np.linspace(1950, 2020, 71)
NANO = np.linspace(0, 2e-9, 80)
SIMULATED: dict[str, tuple[str, Columns, dict[str, float]]] = {
    "line": ("y ~ a * x + b", {"x": T, "y": 3 * T - 2}, {"a": 3, "b": -2}),
    "michaelis_menten": ("v ~ vmax * s / (km + s)", {"s": V, "v": 4 * V / (1.3 + V)}, {"vmax": 4, "km": 1.3}),
    "logistic": (
        "n ~ K / (1 + exp(-r * (year - mid)))",
        {"year": YEAR, "n": 8e9 / (1 + np.exp(-0.06 * (YEAR - 1990)))},
        {"K": 8e9, "r": 0.06, "mid": 1990},
    ),
    "damped": (
        "y ~ a * exp(-k * t) * cos(w * t + phase) + c",
        {"t": NANO, "y": 2 * np.exp(-1e9 * NANO) * np.cos(2e10 * NANO + 1) + 5},
        {"a": 2, "k": 1e9, "w": 2e10, "phase": 1, "c": 5},
    ),
    "sine": (
        "y ~ a * sin(2 * pi * f * t + p) + c",
        {"t": T, "y": 2 * np.sin(2 * np.pi * 2.2 * T + 1) + 5},
        {"a": 2, "f": 2.2, "p": 1, "c": 5},
    ),
    "peak": (
        "y ~ h * exp(-(x - c)**2 / (2 * s**2)) + m * x + b",
        {"x": W, "y": 30 * np.exp(-((W - 532) ** 2) / 72) + 0.02 * W + 3},
        {"h": 30, "c": 532, "s": 6, "m": 0.02, "b": 3},
    ),
    "hill": (
        "y ~ low + (high - low) / (1 + (half / c)**n)",
        {"c": 10 ** np.linspace(-9, -4, 30), "y": 2 + 98 / (1 + (3e-7 / 10 ** np.linspace(-9, -4, 30)) ** 1.4)},
        {"low": 2, "high": 100, "half": 3e-7, "n": 1.4},
    ),
    "power": ("y ~ a * x**b", {"x": V, "y": 2 * V**1.7}, {"a": 2, "b": 1.7}),
    "function_of_the_language": (
        "y ~ h * lorentzian(x, c, g) + b",
        {"x": W, "y": 12 / (1 + ((W - 620) / 9) ** 2) + 3},
        {"h": 12, "c": 620, "g": 9, "b": 3},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SIMULATED)
def test_simulated_truth_is_found_with_its_natural_signs(name: str, tmp_path: Path) -> None:
    formula, columns, truth = SIMULATED[name]
    *_, target = columns
    path = table(tmp_path, columns | {target: noisy(columns[target])})
    guess = guess_starts(read_sketch(str(path), formula))
    assert guess.found
    assert list(guess.starts) == list(truth), "in the order in which they appear"
    for parameter, value in truth.items():
        assert guess.starts[parameter] == pytest.approx(value, rel=0.2 if name in {"peak", "hill"} else 0.06), (
            guess.starts
        )
    assert all(value == float(f"{value:.4g}") for value in guess.starts.values())


def test_a_linear_model_starts_at_its_solution(tmp_path: Path) -> None:
    x = np.linspace(1, 9, 30)
    y = noisy(4 - 2 * x + 0.3 * x**2)
    guess = guess_starts(read_sketch(str(table(tmp_path, {"x": x, "y": y})), "y ~ c0 + c1 * x + c2 * x**2"))
    expected = np.polyfit(x, y, 2)[::-1]
    np.testing.assert_allclose(list(guess.starts.values()), expected, rtol=1e-3)
    assert guess.linear == {"c0", "c1", "c2"}
    assert guess.r_squared == pytest.approx(1 - np.var(y - np.polyval(expected[::-1], x)) / np.var(y), abs=1e-6)


def test_nothing_finite_is_said_and_starts_at_1(tmp_path: Path) -> None:
    table(tmp_path, {"x": T, "y": T})
    done = fitkit("init", "d.csv", "y ~ a * log(-1 - x**2 - b**2)", "--out", "c.yaml", cwd=tmp_path)
    assert done.code == 0
    assert "no start was found where the model is finite; every parameter starts at 1" in done.err
    text = (tmp_path / "c.yaml").read_text(encoding="utf-8")
    assert "placeholders" in text
    assert text.count(": 1\n") == 2
    assert fitkit("validate", "c.yaml", cwd=tmp_path).code == 0


# -- the file ---------------------------------------------------------------------------------------------------------------


def test_the_config_runs_as_it_stands_wherever_it_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "fits").mkdir()
    (tmp_path / "data/decay.csv").write_text((ROOT / DECAY[0]).read_text(encoding="utf-8"), encoding="utf-8")
    done = fitkit("init", "data/decay.csv", DECAY[1], "--out", "fits/decay.yaml", cwd=tmp_path)
    assert (done.code, done.out) == (0, "")
    assert done.err == "wrote fits/decay.yaml; next: fitkit train fits/decay.yaml\n"
    text = (tmp_path / "fits/decay.yaml").read_text(encoding="utf-8")
    assert "\ndata: ../data/decay.csv\n" in text
    assert "Columns that are not used: error." in text
    assert max(map(len, text.splitlines())) <= 80
    assert fitkit("validate", "fits/decay.yaml", cwd=tmp_path).out == "fits/decay.yaml: ok\n"
    trained = fitkit("train", "fits/decay.yaml", "--no-save", "--json", cwd=tmp_path)
    assert trained.code == 0
    near = fit(
        {
            "data": str(ROOT / DECAY[0]),
            "model": DECAY[1],
            "parameters": {"amplitude": 150, "rate": 0.5, "background": 10},
        }
    )
    found = {name: entry["value"] for name, entry in json.loads(trained.out)["parameters"].items()}
    np.testing.assert_allclose(list(found.values()), near.values, rtol=1e-9)


def test_the_readme_shows_what_it_says(tmp_path: Path) -> None:
    (command, said), *_ = re.findall(
        r"^\$ (fitkit init .*)\n(.*)$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    )
    (tmp_path / "datasets").symlink_to(ROOT / "datasets")
    done = fitkit(*shlex.split(command)[1:], cwd=tmp_path)
    assert (done.code, done.err) == (0, said + "\n")


def test_what_is_suggested_for_sigma_runs(tmp_path: Path) -> None:
    done = fitkit("init", ROOT / DECAY[0], DECAY[1], "--out", "-", cwd=tmp_path)
    assert done.code == 0
    lines = done.out.splitlines()
    first = lines.index("# data:")
    written_instead = [line.removeprefix("# ") for line in lines[first : first + 3]]
    kept = [line for line in lines if not line.startswith("data:")]
    written(tmp_path, "c.yaml", "\n".join([*written_instead, *kept]) + "\n")
    trained = fitkit("train", "c.yaml", "--no-save", "--json", cwd=tmp_path)
    assert trained.code == 0
    assert json.loads(trained.out)["fit"]["chi_square"] is not None


@pytest.mark.parametrize(
    ("column", "is_scatter"),
    [("error", True), ("sigma_y", True), ("y_err", True), ("Std. Dev.", True), ("uncertainty", True), ("dy", True),
     ("yerr", False), ("terror", False), ("sand", False), ("x2", False)],
)  # fmt: skip
def test_a_column_of_standard_errors_is_noticed_by_its_name(column: str, is_scatter: bool, tmp_path: Path) -> None:  # noqa: FBT001
    sketch = read_sketch(str(table(tmp_path, {"x": T, "y": T, column: T})), "y ~ a * x")
    assert sketch.scatter == (column if is_scatter else None)
    assert sketch.unused == (column,)


def test_the_default_name_is_the_tables_and_nothing_is_overwritten(tmp_path: Path) -> None:
    table(tmp_path, {"x": T, "y": 2 * T}, "run.7.csv")
    command = ("init", "run.7.csv", "y ~ a * x")
    assert fitkit(*command, cwd=tmp_path).code == 0
    path = tmp_path / "run.7.yaml"
    first = path.read_bytes()
    path.write_text("mine", encoding="utf-8")
    refused = fitkit(*command, cwd=tmp_path)
    assert (refused.code, path.read_text(encoding="utf-8")) == (8, "mine")
    assert "`run.7.yaml` exists already" in refused.err
    assert "--force" in refused.err
    assert fitkit(*command, "--force", cwd=tmp_path).code == 0
    assert path.read_bytes() == first, "the same every time"


def test_standard_output_takes_the_config_and_nothing_else(tmp_path: Path) -> None:
    table(tmp_path, {"x": T, "y": 2 * T})
    done = fitkit("init", "d.csv", "y ~ a * x", "--out", "-", cwd=tmp_path)
    assert done.code == 0
    assert "fitkit train" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["d.csv"]
    piped = fitkit("train", "-", "--no-save", "--quiet", cwd=tmp_path, stdin=done.out)
    assert (piped.code, piped.out[:9]) == (0, "Converged")


def test_names_that_yaml_would_take_for_something_else(tmp_path: Path) -> None:
    table(tmp_path, {"lambda": T, "y": noisy(2 * T + 1)})
    odd = tmp_path / "a: #b 'c'"
    odd.mkdir()
    done = fitkit("init", "d.csv", "y ~ no * lambda + null", "--out", str(odd / "c.yaml"), cwd=tmp_path)
    assert done.code == 0, done.err
    trained = fitkit("train", str(odd / "c.yaml"), "--no-save", "--json", cwd=tmp_path)
    assert list(json.loads(trained.out)["parameters"]) == ["no", "null"]


def test_text_columns_and_binary_tables(tmp_path: Path) -> None:
    written(tmp_path, "d.csv", "x,group,y\n" + "".join(f"{x},{'ab'[x % 2]},{3 * x + 7 * (x % 2)}\n" for x in range(12)))
    guess = guess_starts(read_sketch(str(tmp_path / "d.csv"), "y ~ s * x + where(group == 'b', up, 0)"))
    assert guess.starts == {"s": 3.0, "up": 7.0}
    np.savez(tmp_path / "d.npz", x=T, y=4 * T)
    assert guess_starts(read_sketch(str(tmp_path / "d.npz"), "y ~ a * x")).starts == {"a": 4.0}


# -- mistakes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "code", "said"),
    [
        ("y - x", 2, "no `~`"),
        ("y ~ a * (x", 2, "FORMULA:1:"),
        ("y ~ a * sn(x)", 2, "did you mean `sin`?"),
        ("counts ~ a * x", 2, "`counts` is no column of the table"),
        ("y ~ a * x + where(kind == 'b', c, 0)", 2, "`kind` is no column"),
        ("y ~ x", 2, "has no parameter"),
        ("name ~ a * x", 3, "name"),
        ("y ~ a + b * x + c * x**2 + d * x**3", 3, "3 rows cannot determine 4 free parameters"),
    ],
)
def test_formulas_that_cannot_be_fitted(formula: str, code: int, said: str, tmp_path: Path) -> None:
    written(tmp_path, "d.csv", "x,y,name\n1,2,e\n2,3,f\n3,4,g\n")
    done = fitkit("init", "d.csv", formula, cwd=tmp_path)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert not (tmp_path / "d.yaml").exists()


def test_tables_and_files_that_cannot_be(tmp_path: Path) -> None:
    table(tmp_path, {"x": T, "y": T})
    missing = fitkit("init", "e.csv", "y ~ a * x", cwd=tmp_path)
    assert (missing.code, "did you mean `d.csv`?" in missing.err) == (3, True)
    assert fitkit("init", "-", "y ~ a * x", cwd=tmp_path).code == 2
    assert fitkit("init", "d.csv", cwd=tmp_path).code == 2
    for out in ("no/such/c.yaml", "."):
        refused = fitkit("init", "d.csv", "y ~ a * x", "--out", out, "--force", cwd=tmp_path)
        assert refused.code == 8
        assert "error[E801]" in refused.err


def test_a_misspelt_column_is_asked_about(tmp_path: Path) -> None:
    table(tmp_path, {"time": T, "x": T, "y": T})
    done = fitkit("init", "d.csv", "y ~ a * x + b * tine", cwd=tmp_path)
    assert done.code == 0
    assert "note: `tine` is taken for a parameter, as there is no such column; did you mean `time`?" in done.err
    assert "no column stands on the right side" in fitkit("init", "d.csv", "y ~ a", "--force", cwd=tmp_path).err


def test_help_tells_the_exit_codes_and_imports_nothing_that_computes() -> None:
    done = fitkit("init", "--help")
    assert done.code == 0
    assert "Exit codes: 0 written" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    listed = "import sys; sys.argv = ['fitkit', 'init', '--help']\nfrom fitkit.cli.main import main\n"
    listed += "try: main()\nfinally: print([m for m in ('jax', 'numpy', 'scipy', 'polars') if m in sys.modules])"
    assert python("-c", listed).out.splitlines()[-1] == "[]"


# -- the parts --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "linear"),
    [
        ("y ~ a * exp(-k * x) + c", {"a", "c"}),
        ("y ~ a * b * x + c", {"a", "c"}),
        ("y ~ a * x / (1 + a * x)", set()),
        ("y ~ abs(a) * x + b", {"b"}),
        ("y ~ where(x < edge, a, b)", {"a", "b"}),
        ("y ~ a * (x**2 + x * b) / (x**2 + x * c + d)", {"a"}),
        ("y ~ a**1 * x + (b + b) * x**2", {"a", "b"}),
        ("y ~ sqrt(a) * x", set()),
    ],
)
def test_parameters_that_enter_linearly(formula: str, linear: set[str], tmp_path: Path) -> None:
    sketch = read_sketch(str(table(tmp_path, {"x": V, "y": V})), formula)
    problem = assemble(sketch.source(), allow_python=False).problem
    points = np.random.default_rng(2).normal(size=(12, len(sketch.parameters)))
    found = linear_parameters(problem, points)
    assert {name for name, is_linear in zip(problem.layout.free, found, strict=True) if is_linear} == linear


def test_projection_is_the_linear_least_squares_solution(tmp_path: Path) -> None:
    y = noisy(np.exp(-V) + 2)
    sketch = read_sketch(str(table(tmp_path, {"x": V, "y": y})), "y ~ a * exp(-k * x) + c + c * x")
    problem = assemble(sketch.source(), allow_python=False).problem
    points = np.array([[9.0, k, 9.0] for k in (0.1, 0.7, 3.0)])
    solved, squares = project(problem, points, np.array([True, False, True]))
    for k, point, total in zip((0.1, 0.7, 3.0), solved, squares, strict=True):
        design = np.column_stack([np.exp(-k * V), 1 + V])
        expected, rss, *_ = np.linalg.lstsq(design, y, rcond=None)
        np.testing.assert_allclose(point, [expected[0], k, expected[1]], rtol=1e-8)
        assert total == pytest.approx(rss[0], rel=1e-8)


@pytest.mark.parametrize(
    ("formula", "units", "places"),
    [
        ("y ~ a * exp(-k * (t - t0))", {"a": {"y": 1}, "k": {"t": -1}, "t0": {"t": 1}}, {"t0"}),
        ("y ~ h / (1 + ((t - c) / w)**2)", {"h": {"y": 1}, "c": {"t": 1}, "w": {"t": 1}}, {"c"}),
        ("y ~ (a + b * t) / (1 + c * t + d * t**2)", {"b": {"y": 1, "t": -1}, "c": {"t": -1}, "d": {"t": -2}}, set()),
        ("log(y) ~ a - b / (8.314 * t)", {"a": {}, "b": {"t": 1}}, set()),
        ("y ~ a * sqrt(b * t)", {"b": {"t": -1}}, set()),
        ("y ~ h * gaussian(t, c, s)", {"h": {"y": 1}, "c": {"t": 1}, "s": {"t": 1}}, {"c"}),
        ("y ~ a * t**n", {"n": {}}, set()),
    ],
)  # fmt: skip
def test_units_that_a_formula_implies(
    formula: str, units: dict[str, dict[str, float]], places: set[str], tmp_path: Path
) -> None:
    sketch = read_sketch(str(table(tmp_path, {"t": V, "y": V})), formula)
    found = implied_units(sketch.equation, sketch.parameters, sketch.columns)
    if "sqrt" not in formula:  # there y may be shared between a and b in many ways
        for name, unit in units.items():
            assert found[name] == pytest.approx(unit, abs=1e-9)
    assert shifting(sketch.equation, sketch.parameters, sketch.columns) == places


def test_candidates_follow_the_units_of_the_columns() -> None:
    def size(width: float) -> float:
        return scale_of({"t": -1.0}, {"t": Span(low=0, high=width)}, 50, shifts=False).size

    assert size(1e-9) == pytest.approx(1e9)
    assert size(200) == pytest.approx(1 / 200)
    place = scale_of({"t": 1.0}, {"t": Span(low=1950, high=2020)}, 50, shifts=True)
    values = place.draw(2000, np.random.default_rng(0))
    assert 0.6 < np.mean((values > 1940) & (values < 2030)) < 0.9
