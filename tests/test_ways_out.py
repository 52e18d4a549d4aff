"""A mistake that is told at its place, once, and with the way out that helps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command import Outcome, fitkit, written

VALUES = "data: {values: {x: [1, 2, 3], y: [2, 4, 7]}}\n"
MODEL = "model: y ~ a * x\nparameters: {a: 1}\n"


def train(folder: Path, config: str, *options: str) -> Outcome:
    return fitkit("train", written(folder, "fit.yaml", config), "--no-save", "-q", *options, cwd=folder)


@pytest.mark.parametrize(
    ("config", "code", "place", "message", "way_out"),
    [
        (VALUES + "model: y ~ a*x\nparameters: {a: }\n", "E108", "3:14", "must be a number or a map, and is empty", ""),
        (VALUES + "model: y ~ a*x\nparameters: {a: [1]}\n", "E108", "3:17", "must be a number or a map, not", ""),
        (
            VALUES + "model: y ~ a*x\nparameters: {a: {min: -.inf, start: 1}}\n",
            "E108",
            "3:23",
            "finite",
            "leave `min` out",
        ),
        (VALUES + "model: 'y ~ lambda q: q'\nparameters: {a: 1}\n", "E201", "2:21", "`:`", "defines no functions"),
        (VALUES + "model: y ~ a*x + b\nparameters: {<<: {b: 1}, a: 1}\n", "E103", "3:14", "merge keys", "extends"),
        (VALUES + MODEL + "<<: {seed: 1}\n", "E103", "4:1", "merge keys", "extends"),
        (VALUES + MODEL + "definitions: {p: q * x, q: p * x}\n", "E113", "4:18", "`p` uses `q`, which is defined", ""),
        (VALUES + "model: y ~ a*p\nparameters: {a: 1}\ndefinitions: {p: p*x}\n", "E113", "4:18", "`p` uses itself", ""),
        (VALUES + MODEL + "optimizer: {learning_rat: 1}\n", "E104", "4:13", "`learning_rat`", "mean `learning_rate`?"),
        (
            VALUES + MODEL + "optimizer: {momentum: 0.1}\n",
            "E105",
            "4:1",
            "needs `kind`",
            "of `sgd` and `rmsprop`: add `kind: sgd`",
        ),
    ],
)
def test_one_mistake_is_one_message(
    tmp_path: Path, config: str, code: str, place: str, message: str, way_out: str
) -> None:
    done = train(tmp_path, config)
    assert done.code == 2
    assert done.err.count("error[") == 1, done.err
    assert f"error[{code}]" in done.err
    assert f"fit.yaml:{place}\n" in done.err, done.err
    assert message in done.err.splitlines()[0]
    assert way_out in done.err


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("data.values.y[2]=6", "an entry of a list is written `y.2`, and entries count from 0"),
        ("optimizer.learning_rat=1", "did you mean `learning_rate`?"),
        ("optimizer.learning_rate=1", "`adagrad` and `lion`: add `--set optimizer.kind=adam`"),
    ],
)
def test_a_setting_that_does_not_fit(tmp_path: Path, setting: str, words: str) -> None:
    done = train(tmp_path, VALUES + MODEL, "--set", setting)
    assert done.code == 2
    assert done.err.count("error[") == 1
    assert words in done.err


def test_a_target_that_the_loss_has_no_cost_for_has_a_place(tmp_path: Path) -> None:
    written(tmp_path, "d.csv", "x,y\n1,2\n2,-4\n3,-5\n")
    done = train(tmp_path, "data: d.csv\n" + MODEL + "loss: poisson\n")
    assert done.code == 3
    assert "the target is -4 (2 such rows)\n --> d.csv:3:3\n   |\n3  | 2,-4\n   |   ^^\n" in done.err


def test_a_left_side_that_is_not_finite_has_a_place(tmp_path: Path) -> None:
    written(tmp_path, "d.csv", "x,y\n1,2\n2,-4\n3,5\n")
    done = train(tmp_path, "data: d.csv\n" + MODEL.replace("y ~", "log(y) ~"))
    assert done.code == 3
    assert "`log(y)` is not a finite number in 1 of 3 rows, first with y = -4\n --> d.csv:3:3\n" in done.err
    assert "\n3  | 2,-4\n" in done.err


def test_counts_of_one_are_in_the_singular(tmp_path: Path) -> None:
    done = train(tmp_path, "data: {values: {x: [1], y: [2]}}\nmodel: y ~ a * x + b\nparameters: {a: 1, b: 1}\n")
    assert "1 row cannot determine 2 free parameters" in done.err
    table = "data: {missing: drop, weights: w, values: {x: [1, 2, 3, 4], y: [2, 4, 7, null], w: [1, 1, 0, 1]}}\n"
    done = fitkit("train", written(tmp_path, "fit.yaml", table + MODEL), "--no-save", cwd=tmp_path)
    assert "1 row was left out for a missing entry" in done.out
    assert "1 row has weight zero and no part in the fit" in done.out


def test_an_array_without_names_says_how_to_name_its_columns(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((3, 2)))
    done = train(tmp_path, "data: a.npy\n" + MODEL)
    assert done.code == 2
    assert done.err.count("list them, `columns: [x, y]`") == 2


def test_standard_input_is_read_once(tmp_path: Path) -> None:
    done = fitkit("train", "-", "--no-save", cwd=tmp_path, stdin='data: "-"\n' + MODEL)
    assert done.code == 2
    assert "the config itself came from standard input" in done.err
    assert " --> -:1:7\n" in done.err
