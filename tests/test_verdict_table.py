"""Known ends through the real command: status, reason, exit code and one plain sentence, whatever optimizer or units."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command import here, written
from verdict_cases import CASES, ENDS, Case

RUNS = [(name, optimizer) for name, case in CASES.items() for optimizer in case.optimizers]


def trained(folder: Path, config: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    done = here("train", written(folder, "case.yaml", json.dumps(config)), "--json", "--no-save")
    document: dict[str, Any] = json.loads(done.out)
    return done.code, document


@pytest.mark.parametrize(("name", "optimizer"), RUNS)
def test_a_fit_ends_as_it_must(name: str, optimizer: str, tmp_path: Path) -> None:
    case = CASES[name]
    code, document = trained(tmp_path, case.config(optimizer))
    told = document["message"]
    assert (document["status"], code, document["reason"]) in allowed(case), told
    assert document["exit_code"] == code
    assert case.says in told
    assert told.endswith(".")
    assert "\n" not in told
    assert case.warns in " ".join(document["warnings"])
    for parameter, value in case.at.items():
        assert document["parameters"][parameter]["value"] == pytest.approx(value, rel=1e-6, abs=1e-6)
    if document["status"] != "converged":
        assert all(p["digits"] is p["error"] is p["interval"] is None for p in document["parameters"].values())


def allowed(case: Case) -> list[tuple[str, int, str]]:
    """A minimum may be told by its slope or by a step below rounding."""
    return [ENDS[case.ends], *([("converged", 0, "step_small")] if case.ends == "converged" else [])]


# Every case in other units of its parameters, and those of plain least squares in other units of their targets, larger and
# smaller in turn; 1e8 times some targets there are beyond the numbers.
UNITS = [(name, 1e8, 1.0) for name in CASES]
UNITS += [
    (name, 1.0, (1e8, 1e-8)[place % 2])
    for place, name in enumerate(name for name, case in CASES.items() if case.y is not None and "loss" not in case.more)
    if name != "squares that overflow"
]


@pytest.mark.parametrize(("name", "scale", "of_data"), UNITS)
def test_units_change_no_verdict(name: str, scale: float, of_data: float, tmp_path: Path) -> None:
    case = CASES[name]
    code, document = trained(tmp_path, case.config(case.optimizers[0], scale, of_data))
    assert (document["status"], code, document["reason"]) in allowed(case), document["message"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "stopping" not in case.more])
def test_stopped_early_nothing_is_claimed_that_is_not_so(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    for most in (1, 3, 5, 10, 20, 40):
        config = {**case.config(case.optimizers[0]), "stopping": {"max_steps": most}}
        _, document = trained(tmp_path, config)
        if document["status"] == "converged":
            assert case.ends == "converged", document["message"]
            for parameter, value in case.at.items():
                assert document["parameters"][parameter]["value"] == pytest.approx(value, rel=1e-6, abs=1e-6)
        elif document["reason"] in {"not_identified", "saddle", "runaway"}:
            assert document["reason"] == case.ends, document["message"]
