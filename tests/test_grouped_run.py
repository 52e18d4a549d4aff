"""Many fits from one table: the same answers as one fit at a time, a row for each group, and one verdict."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from command import environment, here, written
from fitting import fit

from fitkit.run import group_predictions

CURVE = "y ~ a * exp(-k * x) + c"


def table(groups: dict[str, list[tuple[float, float]]]) -> dict[str, list[Any]]:
    """Return points of groups as the columns of a config."""
    rows = [(name, x, y) for name, points in groups.items() for x, y in points]
    return {"g": [r[0] for r in rows], "x": [r[1] for r in rows], "y": [r[2] for r in rows]}


def curves(
    names: Sequence[str], seed: int, sizes: tuple[int, ...] = (12, 20, 31)
) -> dict[str, list[tuple[float, float]]]:
    random = np.random.default_rng(seed)
    found = {}
    for index, name in enumerate(names):
        x = np.linspace(0, 5, sizes[index % len(sizes)])
        a, k, c = random.uniform([2, 0.5, -0.5], [4, 1.5, 0.5])
        y = a * np.exp(-k * x) + c + random.normal(0, 0.1, len(x))
        found[name] = [(float(p), float(q)) for p, q in zip(x, y, strict=True)]
    return found


def config(values: dict[str, list[Any]], **more: Any) -> dict[str, Any]:
    data = {"values": values, **more.pop("data", {})}
    return {"data": data, "model": CURVE, "parameters": {"a": 2, "k": 1, "c": 0}, **more}


def ran(folder: Path, body: dict[str, Any], *options: str) -> tuple[int, dict[str, Any], list[dict[str, str]]]:
    """Run a config, and return the exit code, the document and the rows of the table of groups."""
    path = written(folder, "fit.yaml", json.dumps(body))
    done = here("train", path, "--json", "--out", folder / "run", "--overwrite", *options)
    rows = []
    if (folder / "run" / "groups.csv").exists():
        with (folder / "run" / "groups.csv").open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    return done.code, json.loads(done.out), rows


@pytest.mark.parametrize("loss", ["mse", {"kind": "huber", "delta": 0.1}])
def test_each_group_has_the_answer_of_a_fit_of_its_rows_alone(tmp_path: Path, loss: Any) -> None:
    points = curves("abcde", 1)
    code, document, rows = ran(tmp_path, config(table(points), data={"group_by": "g"}, loss=loss))
    assert (code, document["status"], document["groups"]["converged"]) == (0, "converged", 5)
    for row in rows:
        alone = fit(config(table({"g": points[row["g"]]}), loss=loss)).result
        assert row["status"] == str(alone.status)
        for name, parameter in alone.parameters.items():
            assert float(row[name]) == pytest.approx(parameter.value, rel=1e-8)
            assert float(row[f"{name}_error"]) == pytest.approx(parameter.error, rel=1e-6)
        assert alone.loss is not None
        assert float(row["loss"]) == pytest.approx(alone.loss.final, rel=1e-12)
        assert int(row["rows"]) == len(points[row["g"]])


def test_a_group_that_fails_has_its_reason_and_disturbs_none(tmp_path: Path) -> None:
    points = curves("abc", 2)
    alone = ran(tmp_path, config(table(points), data={"group_by": "g", "where": "x >= 0"}))[2]
    broken = {
        "a": points["a"],
        "short": [(0.0, 1.0), (1.0, 2.0)],
        "b": points["b"],
        "constant": [(float(x), 2.0) for x in range(10)],
        "none": [(-1.0, 1.0)] * 5,
        "c": points["c"],
    }
    values = table(broken)
    values["y"] = [None if group == "gap" else y for group, y in zip(values["g"], values["y"], strict=True)]
    code, document, rows = ran(tmp_path, config(values, data={"group_by": "g", "where": "x >= 0"}))
    assert (code, document["reason"], document["status"]) == (4, "groups_failed", "not_converged")
    assert {row["g"]: row["reason"] for row in rows if row["status"] != "converged"} == {
        "short": "too_few_rows",
        "constant": "not_identified",
        "none": "no_rows",
    }
    assert [row["message"] for row in rows if row["g"] == "short"] == ["2 rows cannot determine 3 free parameters."]
    assert document["groups"]["failed"] == 3
    assert [row for row in rows if row["g"] in "abc"] == alone  # to the last bit


def test_a_target_that_cannot_be_computed_is_the_matter_of_its_group(tmp_path: Path) -> None:
    values = {
        "g": [1] * 4 + [0, 2, 2, 2, 2, 3],
        "x": [0, 1, 2, 3, 9, 0, 1, 2, 3, 9],
        "y": [1, 2, 4, 8.5, 1, -2, 1, 4, 0, 1],
    }
    body = {
        "data": {"values": values, "group_by": "g", "where": "x < 9"},
        "model": "log(y) ~ b * x + c",
        "parameters": {"b": 1, "c": 0},
    }
    code, _, rows = ran(tmp_path, body)
    assert code == 4
    assert [(row["g"], row["status"]) for row in rows] == [(g, "failed" if g != "1" else "converged") for g in "1023"]
    assert [row["reason"] for row in rows[1:]] == ["no_rows", "target", "no_rows"]
    assert rows[2]["message"] == "The target is not a finite number in 2 rows of 4."
    slope = np.polyfit([0, 1, 2, 3], np.log([1, 2, 4, 8.5]), 1)[0]
    assert float(rows[0]["b"]) == pytest.approx(slope, rel=1e-10)


def test_starts_from_a_column_lead_each_group_to_its_own_minimum(tmp_path: Path) -> None:
    """sin(w x) has many minima in w: each group finds that of its own frequency only from near it."""
    x = np.linspace(0, 10, 60)
    values: dict[str, list[Any]] = {"g": [], "x": [], "y": [], "guess": []}
    for name, w in (("slow", 1.0), ("fast", 7.0), ("wrong", -3.0)):
        values["g"] += [name] * len(x)
        values["x"] += x.tolist()
        values["y"] += (np.sin(abs(w) * x) + np.random.default_rng(16).normal(0, 0.05, len(x))).tolist()
        values["guess"] += [w * 1.02] * len(x)
    body = {
        "data": {"values": values, "group_by": "g"},
        "model": "y ~ sin(w * x + p)",
        "parameters": {"w": {"start": "guess", "min": 0}, "p": 0},
    }
    code, _, rows = ran(tmp_path, body)
    assert code == 4
    assert [float(row["w"]) for row in rows[:2]] == pytest.approx([1, 7], abs=0.01)
    assert (rows[2]["status"], rows[2]["reason"]) == ("failed", "start")
    assert rows[2]["message"] == "`w` would start at -3.06, outside its bounds."


def test_numbers_that_a_column_holds_are_each_groups_own(tmp_path: Path) -> None:
    values = {
        "g": ["a"] * 3 + ["b"] * 3,
        "x": [1, 2, 3] * 2,
        "y": [12, 14, 16.5, 25, 30, 36],
        "base": [10] * 3 + [20] * 3,
    }
    body = {
        "data": {"values": values, "group_by": "g"},
        "model": "y ~ slope * x + level",
        "parameters": {"slope": 1, "level": {"start": "base", "fixed": True}},
    }
    code, _, rows = ran(tmp_path, body)
    assert code == 0
    assert [row["level"] for row in rows] == ["10.0", "20.0"]
    assert [float(row["slope"]) for row in rows] == pytest.approx([(2 + 8 + 19.5) / 14, (5 + 20 + 48) / 14], rel=1e-12)


def test_several_keys_weights_and_sigma(tmp_path: Path) -> None:
    """Straight lines against numpy's weighted least squares; rows of one group need not lie together."""
    random = np.random.default_rng(3)
    n = 60
    values = {
        "plate": [int(v) for v in random.integers(0, 2, n)],
        "well": [f"w{v}" for v in random.integers(0, 3, n)],
        "x": random.normal(size=n).tolist(),
        "y": random.normal(size=n).tolist(),
        "e": random.uniform(0.5, 2, n).tolist(),
    }
    body = {
        "data": {"values": values, "group_by": ["plate", "well"], "sigma": "e"},
        "model": {"kind": "polynomial", "input": "x", "target": "y", "degree": 1},
    }
    code, document, rows = ran(tmp_path, body)
    assert (code, document["groups"]["by"], document["groups"]["count"]) == (0, ["plate", "well"], 6)
    arrays = {name: np.array(column) for name, column in values.items()}
    for row in rows:
        mine = (arrays["plate"] == int(row["plate"])) & (arrays["well"] == row["well"])
        design = np.stack([np.ones(mine.sum()), arrays["x"][mine]], axis=1) / arrays["e"][mine, None]
        solution = np.linalg.lstsq(design, arrays["y"][mine] / arrays["e"][mine], rcond=None)[0]
        assert [float(row["c0"]), float(row["c1"])] == pytest.approx(solution, rel=1e-9)
        errors = np.sqrt(np.diag(np.linalg.inv(design.T @ design)))
        assert [float(row["c0_error"]), float(row["c1_error"])] == pytest.approx(errors, rel=1e-9)


def test_the_binary_table_is_the_same(tmp_path: Path) -> None:
    _, document, _ = ran(tmp_path, config(table(curves("12", 4)), data={"group_by": "g"}))
    text, binary = pl.read_csv(tmp_path / "run/groups.csv"), pl.read_parquet(tmp_path / "run/groups.parquet")
    assert (
        text.columns
        == binary.columns
        == [
            *("g", "status", "a", "k", "c", "a_error", "k_error", "c_error", "loss", "steps", "message"),
            *("reason", "rows", "flags"),
        ]
    )
    assert binary["g"].to_list() == [1, 2]
    assert text.select("a", "k_error", "loss", "steps", "rows").equals(
        binary.select("a", "k_error", "loss", "steps", "rows")
    )
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        *("groups.csv", "groups.parquet", "predictions.csv", "config.yaml", "result.json", "model.json", "model.npz"),
    }  # fmt: skip
    assert document["groups"]["file"] == "groups.csv"
    assert json.loads((tmp_path / "run/result.json").read_text())["groups"] == document["groups"]


def test_a_saved_config_runs_again(tmp_path: Path) -> None:
    body = config(table(curves("ab", 5)), data={"group_by": "g"})
    rows = ran(tmp_path, body)[2]
    again = here("train", tmp_path / "run/config.yaml", "--out", tmp_path / "again", "--quiet")
    assert again.code == 0
    assert (tmp_path / "again/groups.csv").read_text() == (tmp_path / "run/groups.csv").read_text()
    assert len(rows) == 2


def test_no_group_at_all_is_a_mistake_of_the_data(tmp_path: Path) -> None:
    values = {"g": ["a", "b"], "x": [1, 2], "y": [-1, -2]}
    body = {"data": {"values": values, "group_by": "g"}, "model": "log(y) ~ b * x", "parameters": {"b": 1}}
    code, document, _ = ran(tmp_path, body)
    assert (code, document["reason"]) == (3, "data")
    assert "no group can be fitted; of the first, `a`: The target is not a finite number" in document["message"]


def test_the_gradient_is_checked_on_a_group_that_can_be_fitted(tmp_path: Path) -> None:
    points = {"few": [(0.0, 1.0)], **curves("b", 6)}
    path = written(tmp_path, "fit.yaml", json.dumps(config(table(points), data={"group_by": "g"})))
    done = here("check-grad", path, "--json")
    document = json.loads(done.out)
    assert (done.code, document["verdict"]) == (0, "pass")
    assert "note     of many groups, the check is of `b`" in here("check-grad", path).out


@pytest.mark.parametrize(
    ("share", "code", "status"), [(0.5, 0, "converged"), (0.75, 0, "converged"), (0.76, 4, "not_converged")]
)
def test_a_share_of_the_groups_may_be_enough(tmp_path: Path, share: float, code: int, status: str) -> None:
    points = {**curves("abc", 7), "few": [(0.0, 1.0)]}
    body = config(table(points), data={"group_by": "g"}, expect={"converged": share})
    returned, document, rows = ran(tmp_path, body)
    assert (returned, document["status"]) == (code, status)
    assert document["reason"] == ("groups_failed" if code else rows[0]["reason"])
    assert document["expectations"] == [
        {"what": "converged", "expected": f"{share} of the groups converged", "found": 0.75, "passed": code == 0}
        | {key: None for key in document["expectations"][0] if key == "note"}
    ]
    assert (document["groups"]["converged"], document["groups"]["failed"]) == (3, 1)


@pytest.mark.parametrize("uncertainty", [{"hessian": "exact"}, {"sandwich": "always"}])
def test_errors_are_made_as_the_config_says(tmp_path: Path, uncertainty: dict[str, Any]) -> None:
    points = curves("ab", 8, sizes=(20,))
    asked = {"uncertainty": {"kind": "covariance", **uncertainty}}
    _, _, rows = ran(tmp_path, config(table(points), data={"group_by": "g"}, **asked))
    for row in rows:
        alone = fit(config(table({"g": points[row["g"]]}), **asked)).result
        for name, parameter in alone.parameters.items():
            assert float(row[f"{name}_error"]) == pytest.approx(parameter.error, rel=1e-6)


def test_without_errors_there_are_none(tmp_path: Path) -> None:
    points = curves("ab", 9, sizes=(20,))
    code, document, rows = ran(tmp_path, config(table(points), data={"group_by": "g"}, uncertainty="none"))
    assert (code, document["uncertainty"]["message"]) == (0, "none were asked for")
    assert {row["a_error"] for row in rows} == {""}


def test_no_steps_are_no_fit(tmp_path: Path) -> None:
    points = curves("ab", 10, sizes=(20,))
    code, document, rows = ran(tmp_path, config(table(points), data={"group_by": "g"}, stopping={"max_steps": 0}))
    assert (code, document["reason"]) == (4, "groups_failed")
    assert [(row["a"], row["reason"], row["steps"]) for row in rows] == [("2.0", "max_steps", "0")] * 2


def test_every_row_is_predicted_by_the_parameters_of_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of the groups are interleaved in the table; one group is too small; the table is written in pieces."""
    monkeypatch.setattr(group_predictions, "PIECE", 14)
    monkeypatch.setattr(group_predictions, "AT_ONCE", 4)
    points = {**curves("ab", 11, sizes=(12, 20)), "few": [(1.0, 2.0)]}
    values = table(points)
    shuffled = np.random.default_rng(1).permutation(len(values["g"]))
    values = {name: [column[row] for row in shuffled] for name, column in values.items()}
    _, _, rows = ran(tmp_path, config(values, data={"group_by": "g"}))
    found = pl.read_csv(tmp_path / "run/predictions.csv")
    assert found.columns == ["g", "x", "y", "prediction", "residual"]
    for row in rows:
        mine = found.filter(pl.col("g") == row["g"])
        here = [(x, y) for g, x, y in zip(*values.values(), strict=True) if g == row["g"]]
        assert mine.select("x", "y").rows() == here
        if row["status"] == "converged":
            a, k, c = (float(row[name]) for name in "akc")
            assert mine["prediction"].to_list() == pytest.approx([a * np.exp(-k * x) + c for x, _ in here], rel=1e-12)
            left = mine["y"] - mine["prediction"]
            assert mine["residual"].to_list() == pytest.approx(left.to_list(), rel=1e-12)
        else:
            assert mine["prediction"].to_list() == [None] * len(here)


def test_predict_gives_each_row_the_curve_of_its_group(tmp_path: Path) -> None:
    """From the saved run alone; an offset is held that a column tells, and of some groups there is no fit."""
    points = {**curves(["7", "08"], 12, sizes=(12,)), "few": [(1.0, 2.0)]}
    values = table(points) | {"offset": [0.25 if name == "7" else -0.5 for name, at in points.items() for _ in at]}
    body = config(values, data={"group_by": "g"}) | {
        "model": "y ~ a * exp(-k * x) + c + d",
        "parameters": {"a": 2, "k": 1, "c": 0, "d": {"start": "offset", "fixed": True}},
    }
    _, _, rows = ran(tmp_path, body)
    (tmp_path / "fit.yaml").unlink()
    given = written(tmp_path, "new.csv", "x,y,g\n0.5,1,08\n2.5,1,7\n9,1,8\n1,1,few\n4,1,08\n7,2,8\n")
    done = here("predict", tmp_path / "run", "--data", given)
    assert done.code == 0, done.err
    assert "2 rows of 1 group that the run has not seen have no prediction: 8\n" in done.err
    assert "1 row of 1 group whose fit has no end in the run has no prediction: few\n" in done.err
    found = list(csv.DictReader(io.StringIO(done.out)))
    assert list(found[0]) == ["g", "x", "y", "prediction", "residual"]
    assert [row["g"] for row in found] == ["08", "7", "8", "few", "08", "8"]
    assert [row["prediction"] == "" for row in found] == [False, False, True, True, False, True]
    fits = {row["g"]: tuple(float(row[name]) for name in "akc") for row in rows if row["status"] == "converged"}
    for row in found:
        if row["g"] in fits:
            a, k, c = fits[row["g"]]
            curve = a * np.exp(-k * float(row["x"])) + c + (0.25 if row["g"] == "7" else -0.5)
            assert float(row["prediction"]) == pytest.approx(curve, rel=1e-12)
            assert float(row["residual"]) == pytest.approx(float(row["y"]) - curve, rel=1e-9)
    missing = written(tmp_path, "missing.csv", "x\n1\n")
    assert "no column `g`, which `group_by` asks for" in here("predict", tmp_path / "run", "--data", missing).err


def test_a_group_that_cannot_be_fitted_has_no_part_in_what_is_shared(tmp_path: Path) -> None:
    points = curves("abc", 13, sizes=(15,))
    shared = {"parameters": {"a": 2, "k": {"start": 1, "shared": True}, "c": 0}}
    _, alone, _ = ran(tmp_path, config(table(points), data={"group_by": "g", "where": "x >= 0"}, **shared))
    values = table({**points, "none": [(-1.0, 5.0)] * 4})
    code, document, rows = ran(tmp_path, config(values, data={"group_by": "g", "where": "x >= 0"}, **shared))
    assert (code, document["reason"]) == (4, "groups_failed")
    assert document["parameters"] == alone["parameters"]
    assert document["fit"] == alone["fit"]
    assert (rows[3]["status"], rows[3]["reason"], rows[3]["a"]) == ("failed", "no_rows", "")
    assert "k" not in rows[0]
    with np.load(tmp_path / "run/parameters.npz") as saved:
        assert saved["k"] == document["parameters"]["k"]["value"]


def test_errors_that_a_global_fit_lacks_are_said_to_be_lacking(tmp_path: Path) -> None:
    shared = {
        "parameters": {"a": 2, "k": {"start": 1, "shared": True}, "c": 0},
        "loss": {"kind": "huber", "delta": 0.1},
    }
    code, document, _ = ran(tmp_path, config(table(curves("ab", 5)), data={"group_by": "g"}, **shared))
    assert (code, document["parameters"]["k"]["error"]) == (0, None)
    assert document["uncertainty"]["status"] == "unavailable"
    assert "squares and likelihoods" in document["uncertainty"]["message"]


def test_ctrl_c_keeps_the_groups_that_ended(tmp_path: Path) -> None:
    """`mae` has kinks, so that groups are fitted one by one: thousands take minutes."""
    values = {"g": np.repeat(np.arange(3_000), 4).tolist(), "x": [0.0, 1.0, 2.0, 3.0] * 3_000}
    values["y"] = np.random.default_rng(14).normal(size=12_000).round(3).tolist()
    body = {"data": {"values": values, "group_by": "g"}, "model": "y ~ a * x + c", "parameters": {"a": 1, "c": 0}}
    written(tmp_path, "fit.yaml", json.dumps({**body, "loss": "mae"}))
    talkative = "import fitkit.progress as p; p.LOG_SECONDS = 0.2; from fitkit.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", talkative, "train", "fit.yaml", "--out", "run"],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    lines = [process.stderr.readline() for _ in range(2)]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert re.fullmatch(r"\d+ of 3,000 groups  \d+ fits/s  .* left  \(the last, one by one\)\n", lines[1])
    rows = pl.read_csv(tmp_path / "run/groups.csv")
    counts = dict(rows["status"].value_counts().iter_rows())
    assert out.startswith(f"Interrupted: {3_000 - counts['interrupted']:,} of 3,000 groups ended, ")
    assert counts["converged"] > 0
    assert counts["interrupted"] > 1_000
    assert json.loads((tmp_path / "run/result.json").read_text())["reason"] == "interrupted"
    assert err.endswith("saved to run\n")


@pytest.mark.parametrize("shared", ["", "shared"])
def test_the_clock_ends_groups_with_the_reason_that_it_is(tmp_path: Path, shared: str) -> None:
    body = config(table(curves("abc", 15, sizes=(15,))), data={"group_by": "g"}, stopping={"time_limit": 1e-9})
    body["parameters"] = {"a": 2, "k": {"start": 1, "shared": bool(shared)}, "c": 0}
    code, document, rows = ran(tmp_path, body)
    assert (code, document["status"]) == (4, "not_converged")
    assert document["reason"] == ("time_limit" if shared else "groups_failed")
    assert {row["reason"] for row in rows} == {"time_limit"}


def test_a_python_model_is_fitted_to_every_group_as_its_formula_is(tmp_path: Path) -> None:
    """It is mapped over the groups, where a formula takes their rows side by side."""
    code = "import jax.numpy as jnp\n\n\ndef decay(p, inputs):\n"
    written(tmp_path, "models.py", code + "    return p['a'] * jnp.exp(-p['k'] * inputs['x']) + p['c']\n")
    values = table(curves("abc", 21, sizes=(12, 20)))
    body = config(values, data={"group_by": "g"})
    _, _, wanted = ran(tmp_path, body)
    model = {"kind": "python", "function": "models.py:decay", "inputs": ["x"], "target": "y"}
    status, document, rows = ran(tmp_path, {**body, "model": model}, "--allow-python")
    assert (status, document["groups"]["converged"]) == (0, 3)
    for row, other in zip(rows, wanted, strict=True):
        for name in ("g", "a", "k", "c", "a_error", "k_error", "c_error", "loss"):
            assert row[name] == other[name] or float(row[name]) == pytest.approx(float(other[name]), rel=1e-8)


@pytest.mark.parametrize(("sizes", "code"), [((12, 20), 2), ((12,), 0)], ids=["unlike", "alike"])
def test_a_python_model_that_couples_rows_takes_groups_of_one_length_only(
    tmp_path: Path, sizes: tuple[int, ...], code: int
) -> None:
    """Blocks of rows and copies that fill them up would change the mean that it takes over the rows of a group."""
    body = "    x = inputs['x']\n    return p['a'] * (x - x.mean()) + p['c'] * x**2\n"
    written(tmp_path, "models.py", f"def about_the_mean(p, inputs):\n{body}")
    values = table(curves("abc", 21, sizes=sizes))
    model = {"kind": "python", "function": "models.py:about_the_mean", "inputs": ["x"], "target": "y"}
    parameters = {"a": 1.0, "c": 1.0}
    path = written(
        tmp_path,
        "fit.yaml",
        json.dumps({"data": {"values": values, "group_by": "g"}, "model": model, "parameters": parameters}),
    )
    done = here("train", path, "--json", "--out", tmp_path / "run", "--allow-python")
    assert done.code == code
    assert ("depends on the other rows" in done.err) is (code == 2)
    assert (tmp_path / "run" / "groups.csv").exists() is (code == 0)
    if code == 0:  # a straight line in two numbers, which least squares solves
        with (tmp_path / "run" / "groups.csv").open(newline="", encoding="utf-8") as stream:
            rows = {row["g"]: row for row in csv.DictReader(stream)}
        for name in "abc":
            x, y = (np.array([v for v, g in zip(values[n], values["g"], strict=True) if g == name]) for n in "xy")
            wanted = np.linalg.lstsq(np.stack([x - x.mean(), x**2], axis=1), y, rcond=None)[0]
            assert [float(rows[name]["a"]), float(rows[name]["c"])] == pytest.approx(wanted, rel=1e-8)
