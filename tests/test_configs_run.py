"""Every config under `configs` runs, with the exit code it is meant to have and the answer that others find."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from command import here
from fitting import ROOT, fit, right_digits

FOLDER = ROOT / "configs"
TESTED_ELSEWHERE = {"claims", "groups", "nist", "nist_linear"}
NIST: dict[str, Any] = json.loads((ROOT / "datasets/nist/certified.json").read_text())
PUBLISHED: dict[str, Any] = json.loads((ROOT / "datasets/published/fits.json").read_text())
ANSWERS: dict[str, list[float]] = {
    # scipy.optimize.least_squares, and for logistic iteratively reweighted least squares, to the digits shown
    "bounds": [200.8669, 0.324997, 20.0],
    "expect": [200.069, 0.340856, 22.6150, 2.03355],
    "line": [147.47539, 0.48517842],
    "logistic": [15.04290165, -0.23216274],
    "python_model": [12.02039, 0.254118, 2.999699, 0.409785],
    "robust": [1.023491, 2.021080],
    "sigma": [203.118, 0.355616, 22.2399],
    "tied": [200.069, 0.340856, 22.6150, 2.03355],
    # numpy.linalg.lstsq, with bend = -slope / 12 put in
    "constraints": [25.06078, 681.0432508, -56.75360423],
    # closed forms
    "article_jax": [4 / 7],
    "article_pytorch": [0.5828062, -0.0516303],
    "minimize": [1.0, 1.0],
    "log_scale": NIST["nonlinear"]["Misra1a"]["certified"],
    # iminuit: see test_covariance.py for the same fit against it
    "poisson": [201.14359, 0.34673834, 22.938743],
    # published
    "diabetes": PUBLISHED["diabetes_ols"]["estimate"],
    "dobson": PUBLISHED["dobson_d93_poisson"]["estimate"],
    "engel_median": PUBLISHED["engel_quantile_50"]["estimate"],
}
ELSEWHERE = {"breast_cancer", "insect_sprays", "iris"} | {"digits_logistic", "wine"} | {"digits_mlp", "ratings"}
"""Held to published answers and conditions in test_linear_models.py, and to what they must reach in test_mlp.py and
test_matrix_factorization.py."""
NAMES = sorted(
    path.stem for path in FOLDER.glob("*.yaml") if not path.stem.startswith("_") and path.stem not in ELSEWHERE
)


def test_every_config_has_an_answer_here_or_in_nists_tests() -> None:
    assert set(NAMES) == set(ANSWERS)
    assert {path.name for path in FOLDER.iterdir() if path.is_dir() and path.name[0] not in "_."} == TESTED_ELSEWHERE


@pytest.mark.parametrize("name", NAMES)
def test_a_config_finds_the_known_answer(name: str) -> None:
    found = fit(f"{name}.yaml")
    assert found.result.exit_code == 0, found.result.message
    assert found.result.status == ("completed" if name == "article_pytorch" else "converged")
    assert right_digits(found.values, ANSWERS[name]) >= 5.3  # half a unit of the last digit shown


def test_a_bound_is_told_and_has_no_error() -> None:
    background = fit("bounds.yaml").result.parameters["background"]
    assert (background.value, background.flags, background.error, background.interval) == (
        20,
        ("at_bound",),
        None,
        None,
    )


def test_a_tied_parameter_has_its_error_by_the_delta_method() -> None:
    parameters = fit("tied.yaml").result.parameters
    rate, half_life = parameters["rate"], parameters["half_life"]
    assert rate.error is not None
    assert half_life.flags == ("tied",)
    assert half_life.value == pytest.approx(math.log(2) / rate.value, rel=1e-14)
    assert half_life.error == pytest.approx(math.log(2) / rate.value**2 * rate.error, rel=1e-12)


def test_sigma_gives_chi_square() -> None:
    summary = fit("sigma.yaml").result.fit
    assert summary is not None
    assert summary.chi_square == pytest.approx(44.5096, abs=5e-5)
    assert summary.rows is not None
    assert summary.reduced_chi_square == pytest.approx(44.5096 / (summary.rows - 3), rel=1e-5)


def test_the_same_seed_gives_the_same_bytes() -> None:
    batches = "optimizer={kind: sgd, learning_rate: 1e-9, batch_size: 10, epochs: 5}"
    first, second, other = (fit("line.yaml", batches, f"seed={seed}") for seed in (3, 3, 4))
    assert repr(first.rows) == repr(second.rows)  # NaN stands for what is not known, and equals nothing
    assert first.values.tobytes() == second.values.tobytes()
    assert not np.array_equal(first.values, other.values)


@pytest.mark.parametrize(
    ("part", "least"),
    [
        ("configs/[a-c]*.yaml", 5),
        ("configs/d*.yaml", 4),
        ("configs/[e-o]*.yaml", 7),
        ("configs/[p-z]*.yaml", 6),
        ("configs/groups", 6),
        ("configs/nist/[A-K]*", 11),
        ("configs/nist/[L-Z]*", 11),
        ("configs/nist_linear", 11),
    ],
)
def test_every_config_has_the_gradient_of_its_objective(part: str, least: int) -> None:
    """From its own file, by the command; those of `configs/claims` are in test_claims.py."""
    done = here("check-grad", part, "--allow-python", "--json", cwd=ROOT)
    documents = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0, done.out
    assert [document["verdict"] for document in documents] == ["pass"] * len(documents)
    assert len(documents) >= least
    assert all(document["checks"] and document["errors"] == [] for document in documents)
