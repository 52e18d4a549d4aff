"""Many starts: never worse than one, the global minimum where one start fails, and the same numbers for the same seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import fitkit, written
from fitting import Fit, assembled, column, fit
from scipy.optimize import LinearConstraint, minimize
from scipy.stats import qmc

from fitkit.multistart.minima import distinct_minima
from fitkit.multistart.settings import Multistart
from fitkit.multistart.starts import draw_starts, start_range
from fitkit.reports import json_document, text
from fitkit.reports.text import TextStyle

RANDOM = np.random.default_rng(3)
X = np.linspace(0, 10, 60)
SINE: dict[str, Any] = {
    "data": {"values": {"x": column(X), "y": column(2 * np.sin(3.3 * X + 0.4) + 0.1 * RANDOM.normal(size=60))}},
    "model": "y ~ a * sin(w * x + p)",
    "parameters": {"a": 1, "w": {"start": 1, "min": 0, "max": 6}, "p": 0},
}
RASTRIGIN: dict[str, Any] = {
    "minimize": "20 + x**2 - 10*cos(2*pi*x) + y**2 - 10*cos(2*pi*y)",
    "parameters": {name: {"start": 2.9, "min": -5, "max": 5} for name in "xy"},
}
PEAK: dict[str, Any] = {
    "data": {
        "values": {"x": column(X), "y": column(3 * np.exp(-((X - 8) ** 2) / 0.5) + 0.05 * RANDOM.normal(size=60))}
    },
    "model": "y ~ a * exp(-(x - m)**2 / (2 * s**2)) + c",
    "parameters": {"a": 1, "m": {"start": 1, "min": 0, "max": 10}, "s": {"start": 0.3, "scale": "log"}, "c": 0},
}


def final(found: Fit) -> float:
    assert found.result.loss is not None
    assert found.result.loss.final is not None
    return found.result.loss.final


@pytest.mark.parametrize(
    ("config", "limit", "starts"),
    [(SINE, 0.012, 64), (RASTRIGIN, 1e-12, 512), (PEAK, 0.003, 64)],
    ids=["sine", "rastrigin", "peak"],
)
@pytest.mark.parametrize("method", ["sobol", "latin_hypercube"])
def test_the_global_minimum_is_found_where_one_start_fails(
    config: dict[str, Any], limit: float, starts: int, method: str
) -> None:
    single = fit(config)
    many = fit({**config, "multistart": {"starts": starts, "method": method}})
    assert final(single) > 10 * limit
    assert final(many) < limit
    assert many.result.status == "converged"


def test_the_minima_of_a_double_well_are_told_with_their_counts() -> None:
    """(x² - 1)² + x/5 has a minimum on each side of zero; with 100 even starts in [-2, 2] about half lead to each."""
    config = {"minimize": "(x**2 - 1)**2 + x / 5", "parameters": {"x": {"start": 1.5, "min": -2, "max": 2}}}
    found = fit({**config, "multistart": {"starts": 100}})
    summary = found.result.multistart
    assert summary is not None
    roots = sorted(root.real for root in np.roots([4, 0, -4, 0.2]))
    minima = sorted((roots[0], roots[2]), key=lambda x: (x**2 - 1) ** 2 + x / 5)
    np.testing.assert_allclose([one.parameters["x"] for one in summary.minima], minima, rtol=1e-7)
    np.testing.assert_allclose(
        [one.loss for one in summary.minima], [(x**2 - 1) ** 2 + x / 5 for x in minima], rtol=1e-9
    )
    counts = [one.count for one in summary.minima]
    assert sum(counts) == summary.converged == summary.starts == 100
    assert min(counts) > 35
    assert found.values[0] == pytest.approx(minima[0], rel=1e-9)


@pytest.mark.parametrize("name", ["BoxBOD", "MGH09", "MGH17", "Eckerle4", "Thurber"])
def test_never_worse_than_the_single_start(name: str) -> None:
    single = fit(f"nist/{name}.yaml")
    many = fit(f"nist/{name}.yaml", "multistart.starts=16")
    assert final(many) <= final(single) * (1 + 1e-12)
    assert many.result.status == "converged"


def test_one_start_is_the_single_fit() -> None:
    single, many = fit(PEAK), fit({**PEAK, "multistart": {"starts": 1}})
    assert (single.values == many.values).all()


def test_a_start_that_is_not_finite_is_rescued() -> None:
    config = {**SINE, "model": "y ~ a * sin(w * x + p) + log(b)", "parameters": {**SINE["parameters"], "b": -1}}
    assert fit(config).result.status == "diverged"
    found = fit({**config, "multistart": {}})
    assert found.result.status == "converged"
    assert final(found) < 0.012


def test_the_seed_decides() -> None:
    first, again, other = (fit({**SINE, "multistart": {"starts": 20}, "seed": seed}) for seed in (1, 1, 2))
    assert (first.values == again.values).all()
    assert first.result.multistart == again.result.multistart
    assert first.result.multistart != other.result.multistart


def test_no_step_is_made_where_none_is_allowed() -> None:
    found = fit({**SINE, "multistart": {}, "stopping": {"max_steps": 0}})
    assert found.result.exit_code == 4
    assert final(found) <= final(fit({**SINE, "stopping": {"max_steps": 0}}))


# -- kinks, and objectives of their own ---------------------------------------------------------------------------------------


def test_of_a_quantile_with_two_minima_the_better_one_is_found() -> None:
    """The rows lie on two crossing sines; started at the worse one, a single search stays there.

    The minimum over the other parameters is a linear program at each frequency, and its least over a fine grid the oracle.
    """
    random, x = np.random.default_rng(6), np.linspace(0, 6, 90)
    which = random.random(90) < 0.6
    y = np.where(which, np.sin(2.1 * x), np.sin(3.4 * x)) + 0.05 * random.normal(size=90)
    config: dict[str, Any] = {
        "data": {"values": {"x": column(x), "y": column(y)}}, "model": "y ~ a * sin(w * x)",
        "parameters": {"a": {"start": 1, "min": 0, "max": 3}, "w": {"start": 3.4, "min": 1, "max": 5}},
        "loss": {"kind": "quantile", "quantile": 0.45},
    }  # fmt: skip
    alone, many = fit(config), fit({**config, "multistart": {"starts": 24}})

    def least(w: float) -> float:
        wave = np.sin(w * x)
        kinks = np.clip(
            y / np.where(wave == 0, 1.0, wave), 0, 3
        )  # a piecewise linear function of a alone is least at one of its kinks
        off = y[:, None] - wave[:, None] * kinks
        return float(np.maximum(0.45 * off, -0.55 * off).mean(axis=0).min())

    best = min(least(float(w)) for w in np.linspace(1, 5, 4001))
    assert final(alone) > 1.05 * final(many)
    assert final(many) <= best
    assert many.verdict[:2] == ("converged", 0)
    assert many.values[1] == pytest.approx(2.1, abs=0.05)
    told = many.result.multistart
    assert told is not None
    assert len(told.minima) >= 2
    assert told.minima[0].loss == pytest.approx(final(many), rel=1e-12)


def test_an_l1_penalty_may_be_searched_from_many_starts() -> None:
    """Zero, where the penalty pins, is a minimum, and not the lowest: a fine grid tells that."""
    config: dict[str, Any] = {
        "data": {"values": {"x": [1.0], "y": [0.5]}}, "model": "y ~ (s**2 - 1)**2 * x",
        "parameters": {"s": {"start": -0.9, "min": -2, "max": 2}}, "regularization": {"l1": 0.05},
    }  # fmt: skip
    many = fit({**config, "multistart": {"starts": 16}})
    grid = np.linspace(-2, 2, 400_001)
    heights = ((grid**2 - 1) ** 2 - 0.5) ** 2 + 0.05 * np.abs(grid)
    assert final(many) == pytest.approx(heights.min(), rel=1e-8)
    assert abs(many.values[0]) == pytest.approx(abs(grid[np.argmin(heights)]), abs=2e-5)


CAMEL = "(4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (-4 + 4 * y**2) * y**2"
HOLES = "20 + x**2 - 10 * cos(2 * pi * x) + y**2 - 10 * cos(2 * pi * y)"


def test_the_six_humps_of_the_camel() -> None:
    """Six minima, two of them global, of -1.031628453489877 at (0.0898420131, -0.7126564030) and opposite (Dixon and Szego)."""
    ranges = {"x": {"start": 1.6, "min": -3, "max": 3}, "y": {"start": 0.6, "min": -2, "max": 2}}
    found = fit({"minimize": CAMEL, "parameters": ranges, "multistart": {"starts": 64}})
    assert final(found) == pytest.approx(-1.031628453489877, abs=1e-12)
    np.testing.assert_allclose(np.abs(found.values), [0.0898420131, 0.7126564030], atol=1e-8)
    told = found.result.multistart
    assert told is not None
    assert len(told.minima) == 6
    heights = [one.loss for one in told.minima]
    np.testing.assert_allclose(heights, np.repeat([-1.0316284535, -0.2154638244, 2.1042503104], 2), atol=1e-8)
    assert sum(one.count for one in told.minima) == told.converged
    assert final(fit({"minimize": CAMEL, "parameters": ranges})) > 0


@pytest.mark.parametrize(
    ("parameter", "starts"), [({"start": 2.9, "min": -5.12, "max": 5.12}, 64), ({"start": 1.2}, 256)], ids=str
)
def test_rastrigins_deepest_hole_is_found(parameter: dict[str, Any], starts: int) -> None:
    """Between bounds, and around the start where there are none."""
    config: dict[str, Any] = {"minimize": HOLES, "parameters": dict.fromkeys("xy", parameter)}
    found = fit({**config, "multistart": {"starts": starts}})
    assert final(fit(config)) > 1
    assert final(found) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(found.values, 0, atol=1e-8)
    assert found.verdict[:2] == ("converged", 0)


# -- starts -------------------------------------------------------------------------------------------------------------------


def box(parameters: dict[str, Any], spread: float = 10.0) -> Any:
    names = " + ".join(f"{name}**2" for name in parameters)
    problem = assembled({"minimize": names, "parameters": parameters})
    return start_range(problem.problem, problem.start, spread)


def test_where_starts_are_drawn() -> None:
    found = box({"a": {"start": 1, "min": -1, "max": 3}, "b": 2, "c": 0, "d": {"start": 5, "scale": "log"},
                 "e": {"start": 1, "min": 0}, "f": {"start": 2, "min": 1, "max": 100, "scale": "log"}})  # fmt: skip
    np.testing.assert_allclose(found.low, [-1, -18, -10, np.log(0.5), 0, 0])
    np.testing.assert_allclose(found.high, [3, 22, 10, np.log(50), 11, np.log(100)])


@pytest.mark.parametrize("method", ["sobol", "latin_hypercube"])
def test_starts_fill_the_box_evenly_and_the_given_one_comes_first(method: Any) -> None:
    parameters = {"a": {"start": 1, "min": -1, "max": 3}, "b": {"start": 5, "scale": "log"}, "c": 4}
    region = box(parameters)
    starts = draw_starts(region, Multistart(starts=257, method=method), seed=0)
    np.testing.assert_allclose(starts[0], [1, np.log(5), 4])
    assert starts.shape == (257, 3)
    even = (starts[1:, :2] - region.low[:2]) / region.width[:2]
    assert qmc.discrepancy(even) < 1e-3
    assert ((starts >= region.low) & (starts <= region.high)).all()
    assert np.mean(np.abs(starts[1:, 2] - 4) <= 40 / 8) == pytest.approx(0.5, abs=0.01)


def test_distinct_minima_are_told_apart_by_value_and_place() -> None:
    theta = np.array([[1.0, 0.0], [1.0 + 1e-5, 1e-9], [2.0, 0.0], [1.0, 0.0]])
    found = distinct_minima(theta, np.array([1.0, 1.0 + 1e-9, 1.0, 1.1]), np.ones(2))
    assert [(one.value, one.count) for one in found] == [(1.0, 2), (1.0, 1), (1.1, 1)]


# -- the interface ------------------------------------------------------------------------------------------------------------


def test_the_report_has_a_table_and_the_document_has_all() -> None:
    found = fit({**SINE, "multistart": {}}).result
    assert found.multistart is not None
    told = text.render(found, TextStyle())
    sentence = " ".join(told.split("starts ", 1)[1].split("search")[0].split())
    minima = len(found.multistart.minima)
    assert sentence == f"64 (sobol), of which {found.multistart.converged} converged to {minima} distinct minima"
    rows = told[told.rindex("   loss") :].splitlines()
    assert rows[0].split() == ["loss", "starts", "a", "w", "p"]
    assert float(rows[1].split()[0]) == pytest.approx(found.multistart.minima[0].loss, rel=1e-7)
    assert max(map(len, told.splitlines())) <= 80
    document = json.loads(json_document.render(found))["multistart"]
    assert set(document) >= {"starts", "converged", "minima"}
    assert set(document["minima"][0]) == {"loss", "count", "parameters"}
    assert document["minima"][0]["parameters"]["w"] == pytest.approx(3.3, abs=0.01)
    assert json.loads(json_document.render(fit(SINE).result))["multistart"] is None


def test_the_resolved_config_comes_back(tmp_path: Path) -> None:
    line = "minimize: (x**2 - 1)**2 + x / 5\nparameters: {x: {start: 1, min: -2, max: 2}}\n"
    written(tmp_path, "well.yaml", line + "multistart: {starts: 8, method: latin_hypercube}\n")
    assert fitkit("train", "well.yaml", "--out", "run", cwd=tmp_path).code == 0
    saved = (tmp_path / "run" / "config.yaml").read_text(encoding="utf-8")
    assert "latin_hypercube" in saved
    again = fitkit("train", "run/config.yaml", "--no-save", "--json", cwd=tmp_path)
    assert json.loads(again.out)["config"]["multistart"] == {"starts": 8, "method": "latin_hypercube", "spread": 10.0}


@pytest.mark.parametrize(
    ("lines", "code", "word"),
    [
        ("multistart: {starts: 0}", "E109", "starts"),
        ("multistart: {method: halton}", "E107", "halton"),
        ("multistart: {spread: 1}", "E109", "spread"),
        ("multistart: {start: 3}", "E104", "starts"),
    ],
)
def test_what_is_refused(tmp_path: Path, lines: str, code: str, word: str) -> None:
    base = "data: {values: {x: [1, 2, 3], y: [1, 2, 4]}}\nmodel: y ~ a * x\nparameters: {a: 1}\n"
    done = fitkit("validate", written(tmp_path, "c.yaml", f"{base}{lines}\n"))
    assert done.code == 2
    assert f"[{code}]" in done.err + done.out
    assert word in done.err + done.out


def test_under_constraints_the_lowest_minimum_that_keeps_them_is_found() -> None:
    """From (1, 0) a search ends at the right minimum, held by the first constraint; SLSQP from 40 starts knows the left one.

    Without constraints the loss is lower still, at y = 3, which the second constraint forbids.
    """
    config: dict[str, Any] = {
        "minimize": "(x^2 - 1)^2 + 0.3*x + (y - 1)^2 - 3*exp(-(y - 3)^2)",
        "parameters": {"x": 1, "y": 0},
        "constraints": ["x + y <= 1.5", "y <= 1.5"],
    }
    alone, many = fit(config).result, fit({**config, "multistart": {"starts": 8}}).result

    def loss(p: Any) -> float:
        return float((p[0] ** 2 - 1) ** 2 + 0.3 * p[0] + (p[1] - 1) ** 2 - 3 * np.exp(-((p[1] - 3) ** 2)))

    within = LinearConstraint([[1, 1], [0, 1]], ub=1.5)
    starts = np.random.default_rng(0).uniform(-3, 1.5, (40, 2))
    ends = [minimize(loss, start, method="SLSQP", tol=1e-14, constraints=within) for start in starts]
    kept = [end for end in ends if end.success and max(end.x[0] + end.x[1], end.x[1]) < 1.5 + 1e-9]
    best = min(kept, key=lambda end: float(end.fun))
    assert alone.parameters["x"].value > 0.5
    assert [many.parameters[name].value for name in "xy"] == pytest.approx(best.x.tolist(), abs=1e-6)
    assert many.loss is not None
    assert many.loss.final == pytest.approx(best.fun, abs=1e-9)
    assert many.multistart is not None
    assert len(many.multistart.minima) >= 2
