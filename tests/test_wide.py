"""Many parameters: what is formed is what is affordable, and what was not is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import here
from fitting import fit, source

from fitkit.errors import ConfigError
from fitkit.optimizers.affordable import affords_triangle, triangle_bytes
from fitkit.run import memory
from fitkit.run.assemble import assemble

RANDOM = np.random.default_rng(3)


def wide(folder: Path, columns: int, rows: int = 60, **more: object) -> dict[str, Any]:
    x = RANDOM.normal(size=(rows, columns))
    target = x[:, 0] - 2 * x[:, 1] + RANDOM.normal(0, 0.1, rows)
    np.save(folder / "table.npy", np.column_stack([x, target]))
    names = [*(f"x{number}" for number in range(columns)), "y"]
    return {
        "data": {"path": str(folder / "table.npy"), "columns": names},
        "model": {"kind": "linear", "inputs": "*", "target": "y"},
        "regularization": {"l2": 0.5},
        **more,
    }


def test_a_sum_of_squares_of_many_parameters_is_solved_without_its_jacobian_and_says_so(tmp_path: Path) -> None:
    """Against the closed form (X'X + n l2/2 I) w = X'y of the centred columns."""
    found = fit(wide(tmp_path, 1100))
    table = np.load(tmp_path / "table.npy")
    x, y = (table - table.mean(0))[:, :-1], (table - table.mean(0))[:, -1]
    expected = x.T @ np.linalg.solve(x @ x.T + 60 * 0.25 * np.eye(60), y)
    assert found.result.optimizer is not None
    assert found.result.optimizer["kind"] == "lbfgs"
    assert "1,101 parameters, too many to form its Jacobian" in found.result.optimizer["why"]
    np.testing.assert_allclose(found.values[1:], expected, atol=1e-7 * np.abs(expected).max())
    assert found.result.status == "converged"
    assert found.result.fit is not None
    assert found.result.fit.dof is None
    assert found.result.uncertainty is not None
    assert found.result.uncertainty.message is not None


def test_why_there_are_no_error_bars_is_said(tmp_path: Path) -> None:
    found = fit(wide(tmp_path, 1100, rows=1200, uncertainty="covariance"))
    assert found.result.uncertainty is not None
    told = found.result.uncertainty.message
    assert told == "the curvature of 1,101 free parameters was not formed, which would take too long"


def test_lm_is_refused_where_a_step_would_take_very_long(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        fit(wide(tmp_path, 2100, optimizer="lm"))
    (told,) = caught.value.diagnostics
    assert "`lm` decomposes the Jacobian of 2,101 parameters" in told.message
    assert told.help == "use `lbfgs`, or leave the choice to fitkit with `auto`"
    assert told.line == 1


def test_the_work_decides_what_is_formed(tmp_path: Path) -> None:
    problem = assemble(source(wide(tmp_path, 300)), allow_python=False).problem
    assert problem.rows is not None
    assert affords_triangle(problem)
    many = problem.rows.take(np.zeros(300_000, int))
    assert not affords_triangle(replace(problem, rows=many))
    few = assemble(source(wide(tmp_path, 100)), allow_python=False).problem
    assert affords_triangle(replace(few, rows=problem.rows.take(np.zeros(300_000, int))))


def test_what_does_not_fit_into_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = wide(tmp_path, 40, optimizer="lm")
    assert triangle_bytes(assemble(source(config), allow_python=False).problem) > 8 * 41 * 41
    assert (memory.memory_left() or 1 << 30) > 1 << 20
    monkeypatch.setattr(memory, "memory_left", lambda: 1000)
    (tmp_path / "wide.yaml").write_text(json.dumps(config))
    done = here("train", tmp_path / "wide.yaml", "--no-save")
    assert (done.code, done.out) == (7, "")
    assert "error[E702]: `lm` brings the Jacobian of 41 parameters to a triangle" in done.err
    assert "optimizer: lbfgs" in done.err
