"""Parameters that are arrays, in python models: shape, start, bounds, penalties, and where their numbers are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import here, written
from fitting import fit, source

from fitkit.backend import jnp
from fitkit.errors import ConfigError
from fitkit.run.assemble import assemble

CODE = """
def f(p, i):
    return p["w"][0, 0] + p["w"][0, 1] * i["x"] + p["w"][1, 0] * i["z"] + p["w"][1, 1] * i["x"] * i["z"] + p["c"]
"""
X, Z = np.arange(12) % 4 - 1.5, np.arange(12) // 4 - 1.0
Y = np.array([0.3, 1.1, 2.0, 2.9, 0.1, 2.2, 4.1, 5.7, 0.2, 3.0, 6.1, 9.2])


def config(folder: Path, **more: Any) -> str:
    written(folder, "m.py", CODE)
    text = {
        "data": {"values": {"x": X.tolist(), "z": Z.tolist(), "y": Y.tolist()}},
        "model": {"kind": "python", "function": "m.py:f", "inputs": ["x", "z"], "target": "y"},
        "parameters": {"w": {"shape": [2, 2], "start": {"normal": 0.1}}, "c": {"start": 0, "fixed": True}},
        **more,
    }
    return str(written(folder, "fit.yaml", json.dumps(text)))


def truth(l2: float = 0.0) -> np.ndarray[Any, Any]:
    design = np.stack([np.ones_like(X), X, Z, X * Z], axis=1)
    normal = design.T @ design + l2 / 2 * len(Y) * np.eye(4)
    found: np.ndarray[Any, Any] = np.linalg.solve(normal, design.T @ Y).reshape(2, 2)
    return found


@pytest.mark.parametrize(("optimizer", "l2"), [("lm", 0.0), ("lbfgs", 0.0), ("newton", 0.3), ("lm", 0.3)])
def test_an_array_is_fitted_and_its_numbers_are_saved(tmp_path: Path, optimizer: str, l2: float) -> None:
    path = config(tmp_path, optimizer=optimizer, regularization={"l2": l2})
    done = here("train", path, "--json", "--allow-python", "--out", tmp_path / "run")
    document = json.loads(done.out)
    assert (done.code, document["status"]) == (0, "converged"), document["message"]
    assert document["parameters"]["w"]["value"] is None
    assert document["parameters"]["w"]["shape"] == [2, 2]
    assert document["fit"]["free_parameters"] == 4
    with np.load(tmp_path / "run" / "parameters.npz") as saved:
        assert saved["w"] == pytest.approx(truth(l2), rel=1e-7)
        assert saved["c"] == 0
    assert "2 x 2 numbers" in here("train", path, "--allow-python", "--no-save").out


def start(config: str, seed: int, name: str = "w") -> np.ndarray[Any, Any]:
    from fitkit.config import load

    found = assemble(load(config, (f"seed={seed}",)), allow_python=True)
    return np.asarray(found.problem.values(jnp.asarray(found.start))[name])


def test_random_starts_follow_the_seed_and_the_distribution(tmp_path: Path) -> None:
    wide = {"w": {"shape": [100, 100], "start": {"uniform": 0.5}}, "c": 0}
    path = config(tmp_path, parameters=wide, regularization={"l2": 1e-3})
    first = start(path, 1)
    assert (first == start(path, 1)).all()
    assert (first != start(path, 2)).any()
    assert first.shape == (100, 100)
    assert abs(first).max() < 0.5
    assert first.std() == pytest.approx(0.5 / 3**0.5, rel=0.02)
    path = config(
        tmp_path, parameters={**wide, "w": {"shape": [100, 100], "start": {"normal": 2}}}, regularization={"l2": 1e-3}
    )
    assert start(path, 1).std() == pytest.approx(2, rel=0.02)


def test_bounds_hold_every_entry(tmp_path: Path) -> None:
    found = fit(
        config(tmp_path, parameters={"w": {"shape": [2, 2], "start": 0.5, "max": 1}, "c": 0}, optimizer="lbfgs")
    )
    assert "at_bound" in found.result.parameters["w"].flags


@pytest.mark.parametrize(
    ("parameters", "code", "words"),
    [
        ({"w": {"shape": [2, 2]}}, "E112", "needs a `start`"),
        ({"w": {"shape": [2, 0], "start": 1}}, "E109", "at least 1"),
        ({"w": {"shape": [2, 2], "start": {}}}, "E112", "no distribution"),
        ({"w": {"shape": [2, 2], "start": {"normal": 1, "uniform": 1}}}, "E112", "two distributions"),
        ({"w": {"shape": [2, 2], "start": {"norml": 1}}}, "E104", "unknown key `norml`"),
        ({"w": {"shape": [2, 2], "start": {"normal": 1}, "scale": "log"}}, "E112", "may be below 0"),
        ({"w": {"shape": [2, 2], "start": 1}, "d": {"equals": "2 * w"}}, "E112", "is an array"),
        ({"w": {"shape": [2, 2], "start": 1, "prior": {"mean": 0, "sigma": 1}}}, "E112", "is for numbers"),
    ],
)
def test_what_arrays_cannot_be(tmp_path: Path, parameters: Any, code: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        fit(config(tmp_path, parameters={"c": 0, **parameters}, loss="poisson"))
    assert caught.value.diagnostics[0].code == code, caught.value
    assert words in caught.value.diagnostics[0].message


def test_a_formula_has_no_arrays() -> None:
    with pytest.raises(ConfigError) as caught:
        source({"data": "p.csv", "model": "y ~ a * x", "parameters": {"a": {"shape": [2], "start": {"normal": 1}}}})
    assert caught.value.diagnostics[0].code == "E111"
    assert "for python models" in (caught.value.diagnostics[0].help or "")
