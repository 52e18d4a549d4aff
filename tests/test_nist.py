"""NIST's reference problems: the certified digits, or an honest status."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from fitting import ROOT, fit, right_digits

CERTIFIED: dict[str, dict[str, dict[str, Any]]] = json.loads((ROOT / "datasets/nist/certified.json").read_text())
NONLINEAR, LINEAR = sorted(CERTIFIED["nonlinear"]), sorted(CERTIFIED["linear"])


def test_all_of_nists_problems_are_here() -> None:
    assert (len(NONLINEAR), len(LINEAR)) == (27, 11)


@pytest.mark.parametrize("name", NONLINEAR)
def test_nonlinear_problems_from_their_second_start(name: str) -> None:
    certified = CERTIFIED["nonlinear"][name]
    found = fit(f"nist/{name}.yaml")
    assert [parameter.start for parameter in found.result.parameters.values()] == certified["start2"]
    assert found.verdict[:2] == ("converged", 0), found.result.message
    assert right_digits(found.values, certified["certified"]) >= 8
    assert right_digits(found.values, certified["optimum_60_digits"]) >= 9
    # Lanczos1's residuals are the rounding of its data: in double precision their scatter has two or three digits.
    assert right_digits(found.errors, certified["certified_std"]) >= (1.5 if name == "Lanczos1" else 8)
    assert found.result.fit is not None
    assert found.result.fit.dof == certified["degrees_of_freedom"]


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs"])
@pytest.mark.parametrize("name", LINEAR)
def test_linear_problems(name: str, optimizer: str) -> None:
    certified = CERTIFIED["linear"][name]
    found = fit(f"nist_linear/{name}.yaml", f"optimizer={optimizer}")
    assert found.verdict[:2] == ("converged", 0), found.result.message
    truth, errors = np.array(certified["certified"]), np.array(certified["certified_std"])
    assert found.result.evidence is not None
    condition = found.result.evidence.condition or np.inf
    # What rounding the design matrix moves a minimum by: Björck, Numerical Methods for Least Squares Problems, 1.4.3.
    scatter = np.max(errors / np.abs(truth)) * np.sqrt(certified["degrees_of_freedom"])
    allowed = -np.log10(np.finfo(float).eps * condition * (1 + scatter))
    assert right_digits(found.values, truth) >= min(6, allowed)
    # Wampler1 and 2 are without error: their certified standard errors are zero. Residuals that are zero to the last bit
    # tell no scatter, so there is no error to show then.
    if np.isnan(found.errors).all():
        assert not errors.any()
        return
    assert right_digits(found.errors, errors) >= min(6, allowed)
