"""SGD and Adam follow torch's trajectories, step by step, from the same start."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from fitting import ROOT, fit

GOLDEN: dict[str, Any] = json.loads((ROOT / "tests/golden/torch_trajectories.json").read_text())
STEPS: int = GOLDEN["steps"]


@pytest.mark.parametrize("run", GOLDEN["trajectories"], ids=lambda run: f"{run['problem']}-{run['optimizer']}")
def test_every_loss_and_the_end_are_torchs(run: dict[str, Any]) -> None:
    problem, optimizer = GOLDEN["problems"][run["problem"]], GOLDEN["optimizers"][run["optimizer"]]
    found = fit({
        "data": {"values": problem["values"]},
        "model": problem["formula"],
        "parameters": problem["start"],
        "loss": GOLDEN["loss"],
        "optimizer": {**optimizer, "epochs": STEPS},
    })  # fmt: skip
    assert found.verdict == ("completed", 0, "epochs_done")
    assert [row.step for row in found.rows] == list(range(STEPS + 1))
    np.testing.assert_allclose([row.loss for row in found.rows[:STEPS]], run["loss"], rtol=1e-10)
    end = [path[-1] for path in run["parameters"].values()]
    assert list(found.result.parameters) == list(run["parameters"])
    np.testing.assert_allclose(found.values, end, rtol=1e-10)


@pytest.mark.parametrize("run", GOLDEN["trajectories"][:2], ids=lambda run: run["optimizer"])
def test_fewer_epochs_end_at_the_same_points(run: dict[str, Any]) -> None:
    problem, optimizer = GOLDEN["problems"][run["problem"]], GOLDEN["optimizers"][run["optimizer"]]
    for epochs in (1, 7, 50):
        found = fit({
            "data": {"values": problem["values"]},
            "model": problem["formula"],
            "parameters": problem["start"],
            "optimizer": {**optimizer, "epochs": epochs},
        })  # fmt: skip
        there = [path[epochs - 1] for path in run["parameters"].values()]
        np.testing.assert_allclose(found.values, there, rtol=1e-10)
        assert found.result.steps == epochs
