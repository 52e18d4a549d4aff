"""`fitkit batch`: many fits in one process, what each became, and one exit code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import batches
import pytest
from batches import LINE
from command import Outcome, here, written

from fitkit.batch.entry import BatchEntry
from fitkit.batch.plan import plan
from fitkit.batch.summary import batch_exit_code
from fitkit.config import load
from fitkit.errors import ConfigError, worst_exit_code


def batch(*arguments: str | Path) -> tuple[Outcome, list[dict[str, Any]]]:
    return batches.batch(*arguments, "--no-save")


def names(*paths: str | Path, patterns: tuple[str, ...] = ()) -> list[str]:
    return [entry.name for entry in plan([str(path) for path in paths], (), patterns).entries]


def test_a_matrix_is_a_fit_for_each_combination(tmp_path: Path) -> None:
    """The offset is held at its start, so that least squares give slope = sum x (y - offset) / sum x² by hand."""
    text = "matrix: {parameters.offset.start: [0, 0.5, 1.4], seed: [0, 1]}\n"
    held = LINE.replace("offset: 0", "offset: {start: 0, fixed: true}")
    done, documents = batch(written(tmp_path, "line.yaml", held + text))
    assert done.code == 0, done.err
    assert [one["name"] for one in documents] == [
        f"line[start={start},seed={seed}]" for start in ("0", "0.5", "1.4") for seed in (0, 1)
    ]
    for one, offset in zip(documents, (0, 0, 0.5, 0.5, 1.4, 1.4), strict=True):
        assert one["parameters"]["slope"]["value"] == pytest.approx((38 - 10 * offset) / 30, rel=1e-12)
    assert [one["config"]["seed"] for one in documents] == [0, 1] * 3


def test_a_sweep_of_learning_rates_and_seeds_compiles_once(tmp_path: Path) -> None:
    rates = [round(0.001 * 1.1**power, 6) for power in range(20)]
    sweep = "optimizer: {kind: adam, batch_size: 2, epochs: 3}\n"
    sweep += f"matrix: {{optimizer.learning_rate: {rates}, seed: [0, 1, 2]}}\n"
    done, documents = batch(written(tmp_path, "line.yaml", LINE + sweep))
    assert done.code == 0
    assert [one["compilations"] for one in documents[1:]] == [0] * 59
    assert [one["config"]["optimizer"]["learning_rate"] for one in documents] == [
        rate for rate in rates for _ in range(3)
    ]
    assert len({one["loss"]["final"] for one in documents}) == 60


def test_fits_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    for place in ("a/line.yaml", "b/line.yaml", "b/other.yaml", "b/_parent.yaml"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        written(tmp_path, place, LINE)
    assert names(tmp_path) == ["a/line", "b/line", "other"]
    assert names(tmp_path, tmp_path / "a/../a/line.yaml") == ["a/line", "b/line", "other"]
    assert names(tmp_path, patterns=("b/l*e",)) == ["b/line"]
    with pytest.raises(ConfigError, match="none of the 3 fits"):
        names(tmp_path, patterns=("lien",))


@pytest.mark.parametrize(
    ("matrix", "label"),
    [
        ("{seed: [1e0, 2]}", "seed=1e0"),
        ("{optimizer.kind: [lm, newton]}", "kind=lm"),
        ("{loss: [{kind: huber, delta: 2}, mse]}", "loss={kind: huber, delta: 2}"),
        ("{parameters: [{slope: 1, offset: 1234567890123}, {slope: 2, offset: 0}]}", "parameters=#1"),
        ("{data.path: [a/b.csv, c/d.csv]}", "path=b.csv"),
        ("{data.path: [a/b.csv, c/b.csv]}", "path=a_b.csv"),
        ("{parameters.slope.start: [1/3], parameters.offset.start: [0]}", "slope.start=1_3,offset.start=0"),
    ],
)  # fmt: skip
def test_labels_are_readable(tmp_path: Path, matrix: str, label: str) -> None:
    assert names(written(tmp_path, "line.yaml", f"{LINE}matrix: {matrix}\n"))[0] == f"line[{label}]"


def test_the_table_fits_a_terminal_of_80_columns(tmp_path: Path) -> None:
    written(tmp_path, f"{'long' * 20}.yaml", LINE)
    typo = written(tmp_path, "t.yaml", f"{LINE}seeed: 1\n")
    done = here("batch", typo, tmp_path / f"{'long' * 20}.yaml", "--no-save")
    head, row, *_ = done.out.splitlines()
    assert len(head) == len(row) == 80
    assert "    help: did you mean `seed`?" in done.out.splitlines()


def test_settings_of_the_command_line_settle_keys_of_the_matrix(tmp_path: Path) -> None:
    path = written(tmp_path, "line.yaml", LINE + "matrix: {seed: [0, 1, 2], loss: [mse, mae]}\n")
    assert [entry.name for entry in plan([str(path)], ("seed=7",)).entries] == ["line[loss=mse]", "line[loss=mae]"]
    source = load(str(path), ("seed=7",), combination=1)
    assert (source.config.seed, source.config.loss.kind, source.config.matrix) == (7, "mae", {})
    assert here("train", path, "--no-save").code == 2
    assert here("train", path, "--no-save", "--set", "seed=1").code == 2
    assert here("train", path, "--no-save", "--set", "seed=1", "--set", "loss=mse").code == 0


def test_every_mistake_in_a_matrix_is_told_at_its_place(tmp_path: Path) -> None:
    path = written(tmp_path, "line.yaml", LINE + "matrix: {seed: [0, x], lss: [mse], stopping.xtol: 1, name: [a]}\n")
    done = here("validate", path)
    assert done.code == 2
    assert [f":4:{column}\n" in done.err for column in (20, 24, 51, 54)] == [True] * 4


def test_each_fit_has_a_folder_of_its_own() -> None:
    """Names that say what they are keep it; those that a folder cannot have stay apart all the same."""
    plain = {"decay": "decay", "a/decay": "a.decay", "a/decay[rate=0.01,seed=-1]": "a.decay-rate=0.01,seed=-1"}
    assert {name: BatchEntry(name=name, path="").folder for name in plain} == plain
    near = [
        "a.decay", "a/decay-rate=1", "a/decay[rate=1]", "a-b[c=1]", "a[b-c=1]", "x-y", "x[y", "x-y]", "a[b=[1]]", "a[b=1]",
        "ä", "ö", "a]", "a", "-a", "..", "x y", "s[k=a_(1)]", "s[k=a_1]", "\udcff", f"{'a' * 200}1", f"{'a' * 200}2",
    ]  # fmt: skip
    folders = [BatchEntry(name=name, path="").folder for name in near]
    assert len({*folders}) == len(near)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._=,+-]{0,150}", folder) for folder in folders)


def test_configs_for_check_grad_alone_are_passed_over_and_it_is_said(tmp_path: Path) -> None:
    written(tmp_path, "line.yaml", LINE)
    claim = written(tmp_path, "claim.yaml", "minimize: a**2\nparameters: {a: 1}\ncheck_grad: {only: true}\n")
    done = here("batch", tmp_path, "--no-save")
    assert done.code == 0
    assert "1 fit in" in done.out
    assert "passed over, for check-grad alone: 1 config" in done.out
    assert here("batch", claim).code == 2


CODES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)


@pytest.mark.parametrize("code", CODES)
def test_one_reason_is_its_own_code_and_several_are_ten(code: int) -> None:
    assert batch_exit_code([0, code, 0, code]) == code == worst_exit_code([code])
    for other in CODES:
        expected = code if other in (0, code) else other if code == 0 else 10
        assert batch_exit_code([code, other]) == expected


def test_what_failed_says_why_and_the_others_go_on(tmp_path: Path) -> None:
    written(tmp_path, "a_typo.yaml", LINE.replace("slope: 1", "slop: 1"))
    written(tmp_path, "b_line.yaml", LINE)
    written(tmp_path, "c_no_data.yaml", "data: gone.csv\nmodel: y ~ a * x\nparameters: {a: 1}\n")
    done, documents = batch(tmp_path)
    assert done.code == 10
    assert [(one["name"], one["status"], one["reason"], one["exit_code"]) for one in documents] == [
        ("a_typo", "failed", "config", 2),
        ("b_line", "converged", "gradient_small", 0),
        ("c_no_data", "failed", "data", 3),
    ]
    assert documents[1]["parameters"]["slope"]["value"] == pytest.approx(0.8, rel=1e-12)
    assert (documents[0]["errors"][0]["line"], documents[0]["errors"][0]["file"]) == (2, str(tmp_path / "a_typo.yaml"))
    text = here("batch", tmp_path, "--no-save", "--fail-fast").out
    assert "3 fits in" in text
    assert "1 failed, 2 not run" in text
