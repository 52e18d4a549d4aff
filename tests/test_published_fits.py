"""Published fits through the real command: estimates to six digits, standard errors to four, sums of squares to eight."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import ROOT, here, written
from fitting import right_digits

TABLES = ROOT / "datasets" / "published"
FITS: dict[str, dict[str, Any]] = json.loads((TABLES / "fits.json").read_text(encoding="utf-8"))
Config = dict[str, Any]


def linear(inputs: str, target: str, **more: Any) -> Config:
    return {"model": {"kind": "linear", "inputs": inputs.split(), "target": target}, **more}


def nonlinear(formula: str, *, where: str | None = None, start: dict[str, Any], **more: Any) -> Config:
    return {"where": where, "model": formula, "parameters": start, **more}


def dummies(target: str, conditions: dict[str, str]) -> Config:
    """Return a Poisson regression on levels, each written as a comparison, with a logarithmic link."""
    terms = " + ".join(f"{name} * ({condition})" for name, condition in conditions.items())
    start = dict.fromkeys(["intercept", *conditions], 0)
    return {"model": f"{target} ~ exp(intercept + {terms})", "loss": "poisson", "parameters": start}


def shrunk(table: str, target: str, **more: Any) -> Config:
    """Return a formula of standardized features whose weights have standard normal priors; the intercept has none."""
    header, *rows = [line.split(",") for line in (TABLES / f"{table}.csv").read_text(encoding="ascii").splitlines()]
    terms, parameters = [], {"intercept": 0}
    for name, column in list(zip(header, zip(*rows, strict=True), strict=True))[:-1]:
        numbers = np.array(column, float)
        terms.append(f"w_{name} * ({name} - {float(numbers.mean())!r}) / {float(numbers.std())!r}")
        parameters[f"w_{name}"] = {"start": 0, "prior": {"mean": 0, "sigma": 1}}  # type: ignore[assignment] # a map or a number
    return {"model": f"{target} ~ intercept + {' + '.join(terms)}", "parameters": parameters, **more}


STACK = "Air.Flow Water.Temp Acid.Conc."
BIEXPONENTIAL = "conc ~ A1 * exp(-exp(lrc1) * time) + A2 * exp(-exp(lrc2) * time)"
HALVES = {"A1": 3, "lrc1": 1, "A2": 0.6, "lrc2": -1.3}
FIRST_ORDER = (
    "conc ~ Dose * exp(lKe + lKa - lCl) * (exp(-exp(lKe) * Time) - exp(-exp(lKa) * Time)) / (exp(lKa) - exp(lKe))"
)
CONFIGS: dict[str, Config] = {
    "puromycin_treated_mm": nonlinear(
        "rate ~ Vm * conc / (K + conc)", where="state == 'treated'", start={"Vm": 200, "K": 0.05}
    ),
    "puromycin_treated_weighted": nonlinear(
        "rate ~ Vm * conc / (K + conc)",
        where="state == 'treated'",
        start={"Vm": 200, "K": 0.1},
        loss={"kind": "residual", "expression": "(target - prediction) / sqrt(prediction)"},
    ),
    "bod_first_order": nonlinear(
        "demand ~ A * (1 - exp(-exp(lrc) * Time))", start={"A": 20, "lrc": "log(0.35)"}
    ),
    "dnase1_logistic3": nonlinear(
        "density ~ Asym / (1 + exp((xmid - log(conc)) / scal))",
        where="Run == 1",
        start={"Asym": 3, "xmid": 0, "scal": 1}
    ),
    "indometh1_biexponential": nonlinear(BIEXPONENTIAL, where="Subject == 1", start=HALVES),
    "theoph1_first_order": nonlinear(FIRST_ORDER, where="Subject == 1", start={"lKe": -2.5, "lKa": 0.5, "lCl": -3}),
    "chick1_logistic4": nonlinear(
        "weight ~ A + (B - A) / (1 + exp((xmid - Time) / scal))",
        where="Chick == 1",
        start={"A": 27, "B": 300, "xmid": 18, "scal": 6}
    ),
    "stormer_viscosity": nonlinear("Time ~ b1 * Viscosity / (Wt - b2)", start={"b1": 29, "b2": 2}),
    "dobson_d93_poisson": dummies(
        "counts",
        {f"{factor}{level}": f"{factor} == {level}" for factor in ("outcome", "treatment") for level in (2, 3)},
    ),
    "insectsprays_poisson": dummies("count", {f"spray{level}": f"spray == '{level}'" for level in "BCDEF"}),
    "infert_logistic_simple": linear("spontaneous induced", "case", loss="binary_cross_entropy"),
    "stackloss_lm": linear(STACK, "stack.loss"),
    "swiss_lm": linear("Agriculture Examination Education Catholic Infant.Mortality", "Fertility"),
    "cars_lm": linear("speed", "dist"),
    "anscombe1_lm": linear("x1", "y1"),
    "diabetes_ols": linear("age sex bmi bp s1 s2 s3 s4 s5 s6", "target"),
    "diabetes_ridge_standardized": shrunk("diabetes", "target", sigma=1),
    "breast_cancer_logistic_l2": shrunk("breast_cancer", "target == 'malignant'", loss="binary_cross_entropy"),
    "engel_quantile_50": linear("income", "foodexp", loss={"kind": "quantile", "quantile": 0.5}),
    "stackloss_soft_l1_fixed1": linear(STACK, "stack.loss", loss="soft_l1"),
    "stackloss_huber_fixed1": linear(STACK, "stack.loss", loss={"kind": "huber", "delta": 1}),
}  # fmt: skip
GROUPS: dict[str, tuple[str, Config]] = {
    "orange_per_tree_logistic": (
        "Tree",
        nonlinear(
            "circumference ~ Asym / (1 + exp((xmid - age) / scal))", start={"Asym": 200, "xmid": 700, "scal": 350}
        ),
    ),
    "indometh_per_subject_biexponential": ("Subject", nonlinear(BIEXPONENTIAL, start=HALVES)),
}


def train(tmp_path: Path, name: str, config: Config, where: str | None = None) -> dict[str, Any]:
    """Fit through `fitkit train --json`, and return the document."""
    table = FITS[name]["table"]
    folder = ROOT / "datasets" if table == "engel" else TABLES
    data = {"path": str(folder / f"{table}.csv"), "where": where or config.get("where"), "sigma": config.get("sigma")}
    rest = {key: value for key, value in config.items() if key not in {"where", "sigma"}}
    text = json.dumps({"data": {key: value for key, value in data.items() if value is not None}, **rest})
    outcome = here("train", written(tmp_path, "fit.yaml", text), "--json", "--no-save")
    document: dict[str, Any] = json.loads(outcome.out)
    assert (outcome.code, document["status"]) == (0, "converged"), document["message"]
    return document


def of_each(document: dict[str, Any], key: str) -> list[float]:
    return [parameter[key] for parameter in document["parameters"].values()]


def test_every_published_fit_is_stated() -> None:
    assert set(FITS) == {*CONFIGS, *GROUPS}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_published_fit_is_reproduced(name: str, tmp_path: Path) -> None:
    document, published = train(tmp_path, name, CONFIGS[name]), FITS[name]
    assert right_digits(of_each(document, "value"), published["estimate"]) >= 9
    if "std_error" in published:
        assert right_digits(of_each(document, "error"), published["std_error"]) >= 9
    if "df" in published:
        assert document["fit"]["dof"] == published["df"]
    for key in ("rss", "r_squared"):
        if key in published:
            assert document["fit"][key] == pytest.approx(published[key], rel=1e-8)
    if "objective_value" in published:  # a sum where fitkit takes the mean
        assert document["loss"]["final"] * document["fit"]["rows"] == pytest.approx(
            published["objective_value"], rel=1e-8
        )
    printed = published.get("documented", {}).get("estimate", [])
    for found, text in zip(of_each(document, "value"), printed, strict=False):
        assert found == pytest.approx(
            float(text), abs=10.0 ** -len(text.partition(".")[2])
        )  # by a unit of the last digit


@pytest.mark.parametrize(("name", "group"), [(name, group) for name in GROUPS for group in FITS[name]["groups"]])
def test_a_published_fit_of_a_group_is_reproduced(name: str, group: str, tmp_path: Path) -> None:
    """R's default tolerance leaves its estimates about five digits."""
    column, config = GROUPS[name]
    document = train(tmp_path, name, config, where=f"{column} == {group}")
    assert right_digits(of_each(document, "value"), FITS[name]["groups"][group]) >= 4.7
