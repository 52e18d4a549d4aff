"""Real tables with a group for each subject: published fits where there are any, scipy's on each subject's rows for all."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import ROOT, here
from fitting import right_digits
from numpy.typing import NDArray
from scipy.optimize import least_squares

from fitkit.uncertainty.intervals import two_sided_quantile

Vector = NDArray[np.float64]
Rows = dict[str, Vector]
CONFIGS, TABLES = ROOT / "configs" / "groups", ROOT / "datasets" / "published"
PUBLISHED: dict[str, Any] = json.loads((TABLES / "fits.json").read_text(encoding="utf-8"))


def logistic(p: Vector, x: Vector) -> Vector:
    found: Vector = p[0] / (1 + np.exp((p[1] - x) / p[2]))
    return found


def first_order(p: Vector, t: Rows) -> Vector:
    ke, ka, cl = np.exp(p)
    found: Vector = t["Dose"] * ke * ka / cl * (np.exp(-ke * t["Time"]) - np.exp(-ka * t["Time"])) / (ka - ke)
    return found


def biexponential(p: Vector, t: Rows) -> Vector:
    found: Vector = p[0] * np.exp(-p[1] * t["time"]) + p[2] * np.exp(-p[3] * t["time"])
    return found


MODELS: dict[str, tuple[str, str, Callable[[Vector, Rows], Vector]]] = {
    "orange": ("Tree", "circumference", lambda p, t: logistic(p, t["age"])),
    "indometh": ("Subject", "conc", biexponential),
    "theoph": ("Subject", "conc", first_order),
    "chickweight": ("Chick", "weight", lambda p, t: logistic(p, t["Time"])),
    "dnase": ("Run", "density", lambda p, t: logistic(p, np.log(t["conc"]))),
}
PARAMETERS = {
    "orange": ("Asym", "xmid", "scal"),
    "indometh": ("A1", "k1", "A2", "k2"),
    "theoph": ("lKe", "lKa", "lCl"),
    "chickweight": ("Asym", "xmid", "scal"),
    "dnase": ("Asym", "xmid", "scal"),
}


@cache
def fitted(name: str, folder: Path) -> tuple[int, dict[str, Any], dict[str, dict[str, str]]]:
    """Return the exit code, the document and the row of each group."""
    done = here("train", CONFIGS / f"{name}.yaml", "--json", "--out", folder / name)
    group = MODELS[name.removesuffix("_shared")][0]
    with (folder / name / "groups.csv").open(newline="", encoding="utf-8") as stream:
        return done.code, json.loads(done.out), {row[group]: row for row in csv.DictReader(stream)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("groups")


def tables(name: str) -> dict[str, Rows]:
    """Return the rows of each subject."""
    with (TABLES / f"{name}.csv").open(newline="", encoding="ascii") as stream:
        rows = list(csv.DictReader(stream))
    group = MODELS[name][0]
    subjects = dict.fromkeys(row[group] for row in rows)
    return {
        subject: {key: np.array([float(row[key]) for row in rows if row[group] == subject]) for key in rows[0]}
        for subject in subjects
    }


@pytest.mark.parametrize("name", MODELS)
def test_each_subject_has_the_minimum_that_scipy_finds_from_there(name: str, folder: Path) -> None:
    """MINPACK on the subject's rows alone, begun at our answer and beside it, moves nowhere lower."""
    code, document, found = fitted(name, folder)
    assert (code, document["status"]) == (0, "converged")
    _, target, model = MODELS[name]
    subjects = tables(name)
    assert set(found) == set(subjects)
    for subject, rows in subjects.items():
        row = found[subject]
        if row["status"] != "converged":
            continue
        ours = np.array([float(row[parameter]) for parameter in PARAMETERS[name]])
        misfit = lambda p, t=rows: t[target] - model(p, t)  # noqa: E731 - bound to this subject's rows
        theirs = least_squares(
            misfit, ours * 1.001, method="lm", x_scale=np.abs(ours), xtol=1e-15, ftol=1e-15, gtol=1e-15
        )
        rss = float(row["loss"]) * len(rows[target])
        assert rss <= 2 * theirs.cost * (1 + 1e-10)
        assert right_digits(ours, theirs.x) >= 4.5  # MINPACK's own, with slopes by differences
        jacobian = np.asarray(theirs.jac, np.float64)
        dof = len(rows[target]) - len(ours)
        errors = np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian)) * rss / dof)
        assert [float(row[f"{parameter}_error"]) for parameter in PARAMETERS[name]] == pytest.approx(errors, rel=1e-3)


def test_the_fits_that_were_published_for_every_subject(folder: Path) -> None:
    """R's nlsList, whose tolerance leaves about five digits."""
    _, _, trees = fitted("orange", folder)
    for tree, values in PUBLISHED["orange_per_tree_logistic"]["groups"].items():
        assert right_digits([float(trees[tree][name]) for name in ("Asym", "xmid", "scal")], values) >= 4.3
    _, _, subjects = fitted("indometh", folder)
    for subject, (first, rate, second, slower) in PUBLISHED["indometh_per_subject_biexponential"]["groups"].items():
        ours = [float(subjects[subject][name]) for name in ("A1", "k1", "A2", "k2")]
        assert right_digits(ours, [first, np.exp(rate), second, np.exp(slower)]) >= 4.3


@pytest.mark.parametrize(
    ("name", "subject", "fit"), [("theoph", "1", "theoph1_first_order"), ("dnase", "1", "dnase1_logistic3")]
)
def test_the_fits_that_were_published_for_the_first_subject(name: str, subject: str, fit: str, folder: Path) -> None:
    row, published = fitted(name, folder)[2][subject], PUBLISHED[fit]
    assert right_digits([float(row[parameter]) for parameter in PARAMETERS[name]], published["estimate"]) >= 9
    errors = [float(row[f"{parameter}_error"]) for parameter in PARAMETERS[name]]
    assert right_digits(errors, published["std_error"]) >= 7


def test_chicks_that_cannot_be_fitted_have_their_reason(folder: Path) -> None:
    """Chick 18 has two weights; the growth of chick 19 has no bend that would tell where it ends."""
    _, document, chicks = fitted("chickweight", folder)
    left = {chick: row["reason"] for chick, row in chicks.items() if row["status"] != "converged"}
    assert left["18"] == "too_few_rows"
    assert document["groups"]["failed"] == len(left) <= 5
    assert chicks["18"]["Asym"] == ""


def test_a_global_fit_is_that_of_all_parameters_at_once(folder: Path) -> None:
    """Eleven heights and two numbers that all runs share, by scipy as one problem of thirteen."""
    code, document, runs = fitted("dnase_shared", folder)
    assert (code, document["status"]) == (0, "converged")
    subjects = tables("dnase")
    names = list(subjects)
    ours = np.array(
        [document["parameters"][name]["value"] for name in ("xmid", "scal")] + [float(runs[n]["Asym"]) for n in names]
    )

    def misfit(p: Vector) -> Vector:
        each = [logistic(np.array([p[2 + i], p[0], p[1]]), np.log(subjects[n]["conc"])) for i, n in enumerate(names)]
        found: Vector = np.concatenate([subjects[n]["density"] for n in names]) - np.concatenate(each)
        return found

    theirs = least_squares(misfit, ours * 1.001, x_scale=np.abs(ours), xtol=1e-15, ftol=1e-15, gtol=1e-15)
    assert right_digits(ours, theirs.x) >= 6
    rows = len(theirs.fun)
    assert document["fit"]["free_parameters"] == len(ours) == 13
    assert document["fit"]["dof"] == rows - 13
    assert document["fit"]["rss"] == pytest.approx(2 * theirs.cost, rel=1e-9)
    assert document["loss"]["final"] == pytest.approx(2 * theirs.cost / rows, rel=1e-9)
    jacobian = np.asarray(theirs.jac, np.float64)
    covariance = np.linalg.inv(jacobian.T @ jacobian) * 2 * theirs.cost / (rows - 13)
    errors = np.sqrt(np.diag(covariance))
    told = [document["parameters"][name]["error"] for name in ("xmid", "scal")]
    assert [*told, *(float(runs[n]["Asym_error"]) for n in names)] == pytest.approx(errors, rel=1e-5)
    assert document["uncertainty"]["correlation"][0][1] == pytest.approx(
        covariance[0, 1] / errors[0] / errors[1], rel=1e-5
    )
    reach = two_sided_quantile(0.95, rows - 13) * told[0]
    assert document["parameters"]["xmid"]["interval"] == pytest.approx([ours[0] - reach, ours[0] + reach], rel=1e-12)


def test_the_readme_shows_what_the_trees_give(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    config = (CONFIGS / "orange.yaml").read_text(encoding="utf-8").splitlines()
    assert "\n".join(["```text", config[2], config[3], config[4], "```"]) in readme
    (page,) = re.findall(
        r"^```text\n\$ fitkit train configs/groups/orange.yaml\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL
    )
    done = here("train", CONFIGS / "orange.yaml", "--out", tmp_path / "run")
    assert masked(page) == masked(done.out)


def masked(text: str) -> str:
    """Leave out times, and what is left to move, which rounding decides."""
    return re.sub(r"\d+\.\d+ s\b|\d\.\de-\d\d", "_", " ".join(text.split()))
