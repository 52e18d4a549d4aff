"""`fitkit certify`: NIST's problems through the command, digit by digit; what falls short cannot pass."""

from __future__ import annotations

import json
import math
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from command import ROOT, Outcome, fitkit, python

from fitkit.certification import Bounds, reference_problems
from fitkit.certification.certify import right_digits

CERTIFIED: dict[str, dict[str, Any]] = json.loads((ROOT / "datasets/nist/certified.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole() -> tuple[Outcome, dict[str, Any]]:
    """Everything, as the command says it in JSON."""
    done = fitkit("certify", "--json")
    return done, json.loads(done.out)


def test_every_problem_is_run_from_every_start(whole: tuple[Outcome, dict[str, Any]]) -> None:
    done, document = whole
    ran = [(run["problem"], run["start"]) for run in document["runs"]]
    nonlinear = [(name, start) for name in CERTIFIED["nonlinear"] for start in (1, 2)]
    assert ran == nonlinear + [(name, None) for name in CERTIFIED["linear"]]
    assert document["schema"] == "fitkit.certify/1"
    assert done.err == ""
    for run in document["runs"]:
        assert run["difficulty"] == CERTIFIED[run["kind"]][run["problem"]]["difficulty"].lower()


def test_54_of_54_nonlinear_runs_have_the_digits(whole: tuple[Outcome, dict[str, Any]]) -> None:
    runs = [run for run in whole[1]["runs"] if run["kind"] == "nonlinear"]
    assert len(runs) == 54
    for run in runs:
        assert run["status"] == "converged", run
        assert run["digits"] >= 10, run
        assert run["error_digits"] >= (1.5 if run["problem"] == "Lanczos1" else 9), run
        assert run["estimated_digits"] <= run["digits"] + 1, run
        assert run["short"] == []


def test_linear_runs_have_the_digits(whole: tuple[Outcome, dict[str, Any]]) -> None:
    runs = {run["problem"]: run for run in whole[1]["runs"] if run["kind"] == "linear"}
    assert len(runs) == 11
    for name, run in runs.items():
        assert run["digits"] >= (7 if name == "Filip" else 9), run
        assert run["estimated_digits"] <= run["digits"] + 1, run
        assert run["short"] == []
    assert {name for name, run in runs.items() if run["error_digits"] is None} == {"Wampler1", "Wampler2"}


def test_everything_passes(whole: tuple[Outcome, dict[str, Any]]) -> None:
    done, document = whole
    assert done.code == document["exit_code"] == 0
    assert document["passed"] is True
    assert document["message"] == "65 of 65 runs have the digits asked for"


def test_the_readme_shows_this_table(whole: tuple[Outcome, dict[str, Any]]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("## Certified answers")[1].split("```")[1]
    runs = {(run["problem"], str(run["start"] or "-")): run for run in whole[1]["runs"]}
    shown = [row.split() for row in text.splitlines()[3:]]
    assert len(shown) > 10
    for problem, difficulty, start, status, digits, *_ in shown:
        run = runs[problem, start]
        assert (difficulty, status) == (run["difficulty"], run["status"])
        assert abs(float(digits) - run["digits"]) < 2.5, "as far as another processor's rounding allows"


def test_named_problems_are_shown_in_a_table() -> None:
    done = fitkit("certify", "danwood", "Misra1a", "norris", "DANWOOD", "--start", "2", "--optimizer", "lm")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert [line.split()[:4] for line in lines[2:5]] == [
        ["DanWood", "lower", "2", "converged"],
        ["Misra1a", "lower", "2", "converged"],
        ["Norris", "lower", "-", "converged"],
    ]
    assert float(lines[2].split()[4]) >= 10
    assert "3 of 3 runs have the digits asked for" in done.out
    assert max(map(len, lines)) <= 80


def test_a_start_can_be_chosen() -> None:
    document = json.loads(fitkit("certify", "BoxBOD", "--start", "1", "--json").out)
    assert [run["start"] for run in document["runs"]] == [1]


def test_too_few_digits_are_exit_code_6_and_named() -> None:
    done = fitkit("certify", "Lanczos3", "NoInt1", "--digits", "15", "--start", "2")
    assert done.code == 6
    assert "1 of 2 runs have the digits asked for" in done.out
    assert re.search(r"  Lanczos3 from start 2:\n    \d\d\.\d digits of the worst parameter, 15 asked\n", done.out)
    assert "  NoInt1:" not in done.out
    assert fitkit("certify", "Filip", "--digits", "12").code == 0


def test_a_fit_that_did_not_converge_falls_short_whatever_its_digits() -> None:
    done = fitkit("certify", "MGH17", "--start", "1", "--optimizer", "lbfgs", "--digits", "0", "--json")
    (run,) = json.loads(done.out)["runs"]
    assert run["status"] != "converged"
    assert run["digits"] >= 0
    assert done.code == 6
    assert run["short"] == [f"{run['status'].replace('_', ' ')} ({run['reason'].replace('_', ' ')})"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("Misra1e",), "NIST has no problem `Misra1e`; did you mean `Misra1"),
        (("zzz",), "they are Misra1a,"),
        (("--start", "3"), "'--start'"),
        (("--digits", "17"), "'--digits'"),
        (("--optimizer", "adam"), "'--optimizer'"),
    ],
)
def test_usage_is_exit_code_2(arguments: tuple[str, ...], said: str) -> None:
    done = fitkit("certify", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_help_tells_the_exit_codes_and_imports_nothing_that_computes() -> None:
    done = fitkit("certify", "--help")
    assert done.code == 0
    assert "Exit codes: 0" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    listed = "import sys; sys.argv = ['fitkit', 'certify', '--help']\nfrom fitkit.cli.main import main\n"
    listed += "try: main()\nfinally: print([m for m in ('jax', 'numpy', 'scipy', 'polars') if m in sys.modules])"
    assert python("-c", listed).out.splitlines()[-1] == "[]"


# -- the numbers that are compared ------------------------------------------------------------------------------------------


def test_digits_are_those_of_the_worst_number() -> None:
    assert right_digits([1.001, 2.0], [1.0, 2.0]) == pytest.approx(3)
    assert right_digits([-1e-9], [-1.00001e-9]) == pytest.approx(5, abs=1e-4)
    assert right_digits([5.0], [5.0]) == 16
    assert right_digits([1.0, math.nan], [1.0, 1.0]) == 0
    assert right_digits([70.0], [1.0]) == 0
    assert right_digits([1e-4], [0.0]) == pytest.approx(4)


def test_the_truth_is_the_most_exact_there_is() -> None:
    problems = reference_problems()
    assert problems["MGH09"].values[0] == float(CERTIFIED["nonlinear"]["MGH09"]["optimum_60_digits"][0])
    assert problems["Filip"].values[-1] == float(CERTIFIED["linear"]["Filip"]["exact_beta_17g"][-1])
    for name, problem in problems.items():
        certified = CERTIFIED[problem.kind][name]
        assert right_digits(problem.values, certified["certified"]) >= 9
        if problem.starts:
            assert [list(start) for start in problem.starts] == [certified["start1"], certified["start2"]]


def test_the_bounds_are_those_that_help_states() -> None:
    problems = reference_problems()

    def asked(name: str, digits: float | None = None) -> tuple[float, float | None]:
        bounds = Bounds.of(problems[name], digits)
        return bounds.parameters, bounds.errors

    assert asked("MGH10") == (10, 9)
    assert asked("Lanczos1") == (10, 1.5)
    assert asked("Longley") == (9, None)
    assert asked("Filip") == (7, None)
    assert asked("MGH10", 6) == (6, 6)
    assert asked("Lanczos1", 11) == (11, 1.5)


def test_the_wheel_carries_the_data_and_the_package_finds_them_there(tmp_path: Path) -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    shutil.copytree(ROOT / "fitkit", tmp_path / "fitkit", ignore=shutil.ignore_patterns("__pycache__"))
    alone = fitkit("certify", "Misra1a", cwd=tmp_path, changes={"PYTHONPATH": str(tmp_path)})
    assert alone.code == 7
    assert "error[E703]" in alone.err
    for inside, outside in wheel["force-include"].items():
        shutil.copytree(ROOT / inside, tmp_path / outside)
    installed = fitkit("certify", "Misra1a", cwd=tmp_path, changes={"PYTHONPATH": str(tmp_path)})
    assert (installed.code, installed.err) == (0, "")
