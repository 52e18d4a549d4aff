"""A batch over worker processes: what is killed, hangs or fails takes nothing else with it, and can be resumed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batches import DIVERGES, LINE, NO_DATA, TYPO, batch, python_model
from command import here, written

from fitkit.batch.ledger import LEDGER

RIGHT = 95
FAILURES = {
    "diverges": ("diverged", "not_finite", 5),
    "hangs": ("not_converged", "time_limit", 4),
    "killed": ("failed", "environment", 7),
    "no_data": ("failed", "data", 3),
    "typo": ("failed", "config", 2),
}
OFFSETS = np.linspace(-2, 2, RIGHT).round(3).tolist()


def hundred(folder: Path) -> None:
    """Write configs that mean 95 fits with known answers, and five that fail in five ways."""
    held = LINE.replace("offset: 0", "offset: {start: 0, fixed: true}")
    written(folder, "line.yaml", f"{held}matrix: {{parameters.offset.start: {OFFSETS}}}\n")
    written(folder, "diverges.yaml", DIVERGES)
    written(folder, "typo.yaml", TYPO)
    written(folder, "no_data.yaml", NO_DATA)
    python_model(folder, "killed")
    python_model(folder, "hangs")


def assert_right(documents: list[dict[str, Any]]) -> None:
    """With the offset held, least squares give slope = sum x (y - offset) / sum x² = (38 - 10 offset) / 30."""
    found = {one["name"]: one["parameters"]["slope"]["value"] for one in documents if one["exit_code"] == 0}
    expected = {f"line[start={offset}]": (38 - 10 * offset) / 30 for offset in OFFSETS}
    assert found == pytest.approx(expected, rel=1e-12)
    failed = {one["name"]: (one["status"], one["reason"], one["exit_code"]) for one in documents if one["exit_code"]}
    assert failed == FAILURES
    assert all(one["message"] for one in documents)


def test_of_a_hundred_fits_five_fail_for_five_reasons_and_are_resumed(tmp_path: Path) -> None:
    hundred(tmp_path)
    out = tmp_path / "out"
    options = (tmp_path, "--allow-python", "--timeout", "5", "--out", out)
    done, documents = batch(*options, "--jobs", "2")
    assert done.code == 10
    assert len(documents) == 100
    assert_right(documents)
    by_name = {one["name"]: one for one in documents}
    assert "signal 9 (SIGKILL) twice" in by_name["killed"]["errors"][0]["message"]
    assert by_name["typo"]["errors"][0]["line"] == 2
    assert "--timeout" in by_name["hangs"]["message"]
    assert not any(one["resumed"] for one in documents)
    assert {path.name for path in out.iterdir() if (path / "result.json").exists()} == {
        *(f"line-start={offset}" for offset in OFFSETS),
        "diverges",
    }

    done, again = batch(*options, "--resume")  # without --jobs, only python models have a process of their own
    assert done.code == 10
    assert_right(again)
    assert {one["name"] for one in again if not one["resumed"]} == set(FAILURES)


def test_a_fit_is_done_again_where_anything_it_depends_on_has_changed(tmp_path: Path) -> None:
    configs, out = tmp_path / "configs", tmp_path / "out"
    configs.mkdir()
    table = written(configs, "points.csv", "x,y\n0,1\n1,3\n2,2\n3,5\n4,4\n")
    parent = written(configs, "_parent.yaml", "data: points.csv\nparameters: {slope: 1, offset: 0}\n")
    written(configs, "line.yaml", "extends: _parent.yaml\nmodel: y ~ slope * x + offset\n")
    written(configs, "other.yaml", LINE)

    def made(*more: str) -> set[str]:
        done, documents = batch(configs, "--out", out, *more)
        assert done.code == 0
        assert len(documents) == 2
        return {one["name"] for one in documents if not one["resumed"]}

    assert made() == {"line", "other"}
    assert made("--resume") == set()
    table.write_text("x,y\n0,1\n1,3\n2,2\n3,5\n4,5\n")
    assert made("--resume") == {"line"}
    parent.write_text(parent.read_text().replace("slope: 1", "slope: 2"))
    assert made("--resume") == {"line"}
    assert made("--resume", "--set", "seed=3") == {"line", "other"}
    shutil.rmtree(out / "other")
    assert made("--resume", "--set", "seed=3") == {"other"}
    ledger = out / LEDGER
    ledger.write_bytes(ledger.read_bytes()[:-20])  # a batch that was killed while it wrote its last line
    assert made("--resume", "--set", "seed=3") == {"other"}
    assert made() == {"line", "other"}


def test_a_python_model_is_done_again_where_what_it_imports_has_changed(tmp_path: Path) -> None:
    configs, out = tmp_path / "configs", tmp_path / "out"
    configs.mkdir()
    written(configs, "helper.py", "def bent(x):\n    return x\n")
    text = "from helper import bent\n\n\ndef curve(parameters, inputs):\n    "
    written(configs, "models.py", f"{text}return parameters['slope'] * bent(inputs['x']) + parameters['offset']\n")
    model = "{kind: python, function: models.py:curve, inputs: [x], target: y}"
    written(configs, "line.yaml", LINE.replace("y ~ slope * x + offset", model))

    def resumed() -> bool:
        done, documents = batch(configs, "--out", out, "--allow-python", "--resume")
        assert done.code == 0
        return bool(documents[0]["resumed"])

    assert [resumed(), resumed()] == [False, True]
    written(configs, "helper.py", "def bent(x):\n    return 2 * x\n")
    assert [resumed(), resumed()] == [False, True]


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    config = written(tmp_path, "line.yaml", LINE)
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    written(thesis, "chapter.tex", "all of it")
    assert here("batch", config, "--out", thesis).code == 8
    assert [path.name for path in thesis.iterdir()] == ["chapter.tex"]
    assert here("batch", config, "--resume", "--no-save").code == 2


def test_a_time_limit_ends_a_search_in_one_process(tmp_path: Path) -> None:
    long = written(tmp_path, "long.yaml", f"{LINE}optimizer: {{kind: adam, learning_rate: 1e-9, epochs: 10000000}}\n")
    done, (document,) = batch(long, "--no-save", "--timeout", "0.5")
    assert (done.code, document["status"], document["reason"]) == (4, "not_converged", "time_limit")
    assert document["steps"] > 0
    assert document["config"]["stopping"] == {"allow_flat": False}, "what the config says is told as it is"


def test_a_time_limit_ends_error_bars_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fitkit.minimize.search.Watch.too_late", lambda *_: False)  # the search has time enough
    config = written(tmp_path, "line.yaml", f"{LINE}uncertainty: {{kind: bootstrap, resamples: 100}}\n")
    document = batch(config, "--no-save", "--timeout", "0.001")[1][0]
    assert (document["status"], document["reason"], document["exit_code"]) == ("not_converged", "time_limit", 4)
    assert document["message"].startswith("Out of time in the error bars, after the search. Converged in")


def test_where_no_worker_can_be_started_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that end before they are ready are the environment's, not the fit's, and what was done is reported."""
    monkeypatch.setattr("fitkit.batch.workers.work", os._exit)  # with a connection for an exit code: a mistake, exit 1
    config = written(tmp_path, "line.yaml", LINE)
    done = here("batch", config, "--jobs", "1", "--no-save", "--junit", tmp_path / "junit.xml")
    assert done.code == 7
    assert "worker processes cannot be started" in done.err
    assert "1 not run" in done.out
    assert "<skipped" in (tmp_path / "junit.xml").read_text()
