"""`fitkit predict`: the predictions of a saved run, from the run alone."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from command import ROOT, Outcome, here, written
from fitting import source

from fitkit.run import conclude
from fitkit.run.train import TrainOptions, train

CONFIGS = ROOT / "configs"
PUBLISHED = ROOT / "datasets" / "published"
TABLES = {
    "iris": ROOT / "datasets" / "iris.csv",
    "breast_cancer": PUBLISHED / "breast_cancer.csv",
    "insect_sprays": PUBLISHED / "insectsprays.csv",
    "tied": ROOT / "datasets" / "decay.csv",
    "sigma": ROOT / "datasets" / "decay.csv",
    "logistic": ROOT / "datasets" / "challenger.csv",
    "poisson": ROOT / "datasets" / "decay.csv",
    "robust": ROOT / "datasets" / "outliers.csv",
    "line": ROOT / "datasets" / "engel.csv",
    "nist/Nelson": ROOT / "datasets" / "nist" / "Nelson.csv",
    "nist_linear/Wampler3": ROOT / "datasets" / "nist" / "Wampler3.csv",
}


def trained(folder: Path, config: Path | str, *options: str) -> Path:
    done = here("train", config, "--out", folder / "run", "--quiet", *options)
    assert done.code == 0, done.err
    return folder / "run"


def rows(outcome: Outcome) -> list[dict[str, str]]:
    assert outcome.code == 0, outcome.err
    return list(csv.DictReader(io.StringIO(outcome.out)))


@pytest.mark.parametrize("name", TABLES)
def test_predictions_of_the_training_table_are_those_that_train_saved(tmp_path: Path, name: str) -> None:
    run = trained(tmp_path, CONFIGS / f"{name}.yaml")
    (run / "config.yaml").write_text((run / "config.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    done = here("predict", run, "--data", TABLES[name], "--out", tmp_path / "p.csv")
    assert done.code == 0, done.err
    assert (tmp_path / "p.csv").read_bytes() == (run / "predictions.csv").read_bytes()
    assert here("predict", run, "--data", TABLES[name]).out == (tmp_path / "p.csv").read_text(encoding="utf-8")


def test_a_table_without_a_target_has_the_inputs_and_what_is_predicted(tmp_path: Path) -> None:
    run = trained(tmp_path, CONFIGS / "iris.yaml")
    new = "petal_width,petal_length,sepal_width,sepal_length,extra\n0.2,1.4,3.5,5.1,x\n1.4,4.7,3.2,7.0,y\n"
    found = rows(here("predict", run, "--data", written(tmp_path, "new.csv", new)))
    names = ["setosa", "versicolor", "virginica"]
    inputs = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    assert list(found[0]) == [*inputs, "prediction", *(f"probability_{name}" for name in names)]
    saved = list(csv.DictReader(io.StringIO((run / "predictions.csv").read_text(encoding="utf-8"))))
    for row, known in zip(found, (saved[0], saved[50]), strict=True):
        assert row["prediction"] == known["prediction"]
        for name in names:
            assert float(row[f"probability_{name}"]) == pytest.approx(float(known[f"probability_{name}"]), rel=1e-12)
        assert sum(float(row[f"probability_{name}"]) for name in names) == pytest.approx(1)


LINE = """\
data: {values: {x: [0, 1, 2, 3, 4], y: [1, 3, 2, 5, 4]}}
model: {kind: linear, inputs: [x], target: y}
"""


def test_bands_of_new_rows_are_students(tmp_path: Path) -> None:
    """By hand: slope 0.8, offset 1.4, s² = 1.2 on 3 degrees of freedom, Sxx = 10, mean x = 2."""
    run = trained(tmp_path, written(tmp_path, "fit.yaml", LINE))
    found = rows(here("predict", run, "--data", written(tmp_path, "new.csv", "x\n2\n7\n")))
    student = 3.182446305284263
    for row, x in zip(found, (2, 7), strict=True):
        center, share = 1.4 + 0.8 * x, 1 / 5 + (x - 2) ** 2 / 10
        assert float(row["prediction"]) == pytest.approx(center, rel=1e-12)
        assert float(row["confidence_upper"]) == pytest.approx(center + student * (1.2 * share) ** 0.5, rel=1e-9)
        assert float(row["prediction_lower"]) == pytest.approx(center - student * (1.2 * (1 + share)) ** 0.5, rel=1e-9)


def test_parquet_in_and_out(tmp_path: Path) -> None:
    run = trained(tmp_path, written(tmp_path, "fit.yaml", LINE))
    pl.DataFrame({"x": [2.0, 7.0], "name": ["a", "b"]}).write_parquet(tmp_path / "new.parquet")
    done = here("predict", run, "--data", tmp_path / "new.parquet", "--out", tmp_path / "p.parquet")
    assert done.code == 0, done.err
    assert pl.read_parquet(tmp_path / "p.parquet")["prediction"].to_list() == pytest.approx([3.0, 7.0])
    again = here("predict", run, "--data", tmp_path / "new.parquet", "--out", tmp_path / "p.parquet")
    assert (again.code, "add `--overwrite`" in again.err) == (8, True)
    assert here("predict", run, "--data", tmp_path / "new.parquet", "--out", tmp_path / "p.txt").code == 2


def test_an_unseen_category_is_told_at_its_place(tmp_path: Path) -> None:
    run = trained(tmp_path, CONFIGS / "insect_sprays.yaml")
    done = here("predict", run, "--data", written(tmp_path, "new.csv", "spray\nA\nG\n"))
    assert done.code == 3
    assert "error[E324]" in done.err
    assert "`G` is a category that the model has not seen" in done.err
    assert f"{tmp_path / 'new.csv'}:3:1" in done.err


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("z\n1\n", "E308", "there is no column `x`, which the model was fitted with"),
        ("x\none\n", "E310", "`one` is not a number"),
        ("x\n1\n\n2\nNA\n", "E312", "the entry is missing"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, text: str, code: str, words: str) -> None:
    run = trained(tmp_path, written(tmp_path, "fit.yaml", LINE))
    done = here("predict", run, "--data", written(tmp_path, "new.csv", text))
    assert done.code == 3
    assert f"error[{code}]" in done.err
    assert words in done.err


def test_the_condition_holds_where_its_columns_are(tmp_path: Path) -> None:
    text = LINE.replace("{values:", "{where: z < 9, values:").replace("y: [", "z: [1, 1, 1, 1, 9], y: [")
    run = trained(tmp_path, written(tmp_path, "fit.yaml", text))
    done = here("predict", run, "--data", written(tmp_path, "a.csv", "x,z\n1,1\n2,9\n"))
    assert len(rows(done)) == 1
    done = here("predict", run, "--data", written(tmp_path, "b.csv", "x\n1\n2\n"))
    assert len(rows(done)) == 2
    assert "note: `where` was left out" in done.err


def broken(run: Path, name: str, text: str | None) -> None:
    (run / name).unlink() if text is None else (run / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("model.json", None),
        ("model.json", "{}"),
        ("model.json", "not json"),
        ("model.npz", None),
        ("model.npz", "not a zip"),
        ("config.yaml", "model: y ~ a *\n"),
        ("config.yaml", None),
        ("result.json", None),
    ],
)
def test_a_run_that_cannot_be_used(tmp_path: Path, name: str, text: str | None) -> None:
    run = trained(tmp_path, written(tmp_path, "fit.yaml", LINE))
    broken(run, name, text)
    done = here("predict", run, "--data", written(tmp_path, "new.csv", "x\n2\n"))
    assert (done.code, "error[E901]" in done.err) == (9, True), done.err


def test_a_pure_objective_predicts_nothing(tmp_path: Path) -> None:
    run = trained(tmp_path, CONFIGS / "minimize.yaml")
    assert here("predict", run, "--data", TABLES["line"]).code == 9


def test_a_python_model_needs_permission_and_its_file_unchanged(tmp_path: Path) -> None:
    code = "def f(p, i):\n    return p['a'] * i['x'] + p['w'][0]\n"
    file = written(tmp_path, "m.py", code)
    config: dict[str, Any] = {
        "data": {"values": {"x": [1, 2, 3, 4], "y": [3, 5, 7, 9.5]}},
        "model": {"kind": "python", "function": "m.py:f", "inputs": ["x"], "target": "y"},
        "parameters": {"a": 1, "w": {"shape": [1], "start": {"normal": 1}}},
    }
    run = trained(tmp_path, written(tmp_path, "fit.yaml", json.dumps(config)), "--allow-python")
    table = written(tmp_path, "new.csv", "x\n1\n2\n")
    done = here("predict", run, "--data", table)
    assert (done.code, "E163" in done.err) == (2, True)
    found = rows(here("predict", run, "--data", table, "--allow-python"))
    slope, offset = np.polyfit([1, 2, 3, 4], [3, 5, 7, 9.5], 1)
    assert [float(row["prediction"]) for row in found] == pytest.approx([slope + offset, 2 * slope + offset])
    file.write_text(code + "# changed\n", encoding="utf-8")
    done = here("predict", run, "--data", table, "--allow-python")
    assert (done.code, "E902" in done.err) == (9, True)
    file.unlink()
    done = here("predict", run, "--data", table, "--allow-python")
    assert (done.code, "E901" in done.err) == (9, True)


def test_an_interrupted_run_of_a_large_table_leaves_predictions_to_this_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever pressed Ctrl-C is not kept waiting until all inputs are written down."""
    monkeypatch.setattr(conclude, "MOST_CELLS", 10)
    table = "x,y\n" + "".join(f"{x},{1 + 2 * x}\n" for x in range(20))
    path = written(tmp_path, "table.csv", table)
    config = {
        "data": str(path),
        "model": {"kind": "linear", "inputs": ["x"], "target": "y"},
        "optimizer": {"kind": "adam", "learning_rate": 0.1, "batch_size": 4, "epochs": 10_000},
    }
    shown: list[int] = []
    options = TrainOptions(
        out=str(tmp_path / "run"),
        show=lambda row: shown.append(row.step),
        interrupted=lambda: 2 if len(shown) > 3 else 0,
    )
    result, _ = train(source(config), options, time.perf_counter())
    assert result.exit_code == 130
    assert any("`fitkit predict` makes them" in warning for warning in result.warnings)
    assert not (tmp_path / "run" / "predictions.csv").exists()
    found = rows(here("predict", tmp_path / "run", "--data", path))
    weights = {name: parameter.value for name, parameter in result.parameters.items()}
    expected = [weights["intercept"] + weights["x"] * x for x in range(20)]
    assert [float(row["prediction"]) for row in found] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("inputs", "told"), [(100, "x0"), (101, "row")])
def test_the_numbers_of_rows_stand_in_the_place_of_many_inputs(tmp_path: Path, inputs: int, told: str) -> None:
    numbers = np.random.default_rng(0).normal(size=(6, inputs))
    names = [f"x{k}" for k in range(inputs)]
    lines = [",".join([*map(repr, map(float, row)), str(k)]) for k, row in enumerate(numbers)]
    lines[2] = lines[2].rsplit(",", 1)[0] + ","  # without a target: left out
    table = written(tmp_path, "table.csv", "\n".join([",".join([*names, "y"]), *lines]) + "\n")
    config = f"""\
data: {{path: {table}, missing: drop, where: y < 5}}
model: {{kind: linear, inputs: "*", target: y}}
regularization: {{l2: 0.1}}
uncertainty: none
"""
    run = trained(tmp_path, written(tmp_path, "c.yaml", config))
    with (run / "predictions.csv").open(newline="") as stream:
        found = list(csv.DictReader(stream))
    assert list(found[0]) == [*(["row"] if told == "row" else names), "y", "prediction", "residual"]
    if told == "row":
        assert [row["row"] for row in found] == ["1", "2", "4", "5"]
    assert [float(row["y"]) for row in found] == [0, 1, 3, 4]
    done = here("predict", run, "--data", table, "--out", tmp_path / "p.csv")
    assert done.code == 0, done.err
    assert (tmp_path / "p.csv").read_bytes() == (run / "predictions.csv").read_bytes()
