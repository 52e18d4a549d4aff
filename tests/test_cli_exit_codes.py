"""Each exit code through the real command: what the shell is told, and what a person is told with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import LINE, fitkit, python, written


def test_converged_is_0_with_the_report_on_standard_output_and_messages_on_standard_error(tmp_path: Path) -> None:
    config = written(tmp_path, "line.yaml", LINE)
    done = fitkit("train", config, "--out", tmp_path / "run", cwd=tmp_path)
    assert done.code == 0
    assert done.out.startswith("Converged")
    assert done.err == f"saved to {tmp_path / 'run'}\n"


def test_epochs_done_is_0_and_quiet_prints_the_verdict_alone(tmp_path: Path) -> None:
    config = written(tmp_path, "line.yaml", LINE)
    done = fitkit("train", config, "-q", "--no-save", "--set", "optimizer={kind: sgd, epochs: 3}", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Completed 3 epochs")
    assert done.out.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["line.yaml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian", "x.yaml"], "did you mean `train`?"),
        (["train"], "CONFIG"),
        (["train", "x.yaml", "--frobnicate"], "--frobnicate"),
        (["train", "x.yaml", "--seed", "-1"], "--seed"),
        (["train", "x.yaml", "--device", "cup"], "--device"),
        (["list", "nothing"], "nothing"),
        (["validate"], "PATHS"),
    ],
)
def test_usage_is_2(arguments: list[str], message: str) -> None:
    done = fitkit(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: ")
    assert message in done.err


@pytest.mark.parametrize(
    ("text", "arguments", "place", "message"),
    [
        (LINE + "los: mse\n", [], "line.yaml:4:1", "did you mean `loss`?"),
        (LINE.replace("slope *", "slop *"), [], "line.yaml:2:12", "did you mean `slope`?"),
        (LINE, ["--set", "optimizer.kind=lmm"], "--set optimizer.kind=lmm", "did you mean `lm`?"),
        (None, [], "line.yaml", "there is no such file"),
        (LINE.replace("y ~ slope * x + offset", "{kind: python, function: 'm.py:f', inputs: [x], target: y}"), [],
         "line.yaml:2", "--allow-python"),
    ],
)  # fmt: skip
def test_config_is_2_with_the_place_and_a_way_out(
    tmp_path: Path, text: str | None, arguments: list[str], place: str, message: str
) -> None:
    if text is not None:
        written(tmp_path, "line.yaml", text)
    done = fitkit("train", "line.yaml", *arguments, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert f" --> {place}" in done.err
    assert message in done.err
    assert not (tmp_path / "runs").exists()


def test_data_are_3_with_the_row_and_column(tmp_path: Path) -> None:
    written(tmp_path, "d.csv", "x,y\n1,2\n2,NaN\n3,4\n")
    written(tmp_path, "c.yaml", "data: d.csv\nmodel: y ~ a * x\nparameters: {a: 1}\n")
    done = fitkit("train", "c.yaml", cwd=tmp_path)
    assert (done.code, done.out) == (3, "")
    assert " --> d.csv:3:3" in done.err
    assert "missing: drop" in done.err


def test_out_of_steps_is_4() -> None:
    done = fitkit("train", "configs/nist/Misra1a.yaml", "--no-save", "--set", "stopping.max_steps=1", "-q")
    assert (done.code, done.err) == (4, "")
    assert done.out.startswith("Not converged after 1 step")


def test_not_identified_is_4_and_names_the_combination(tmp_path: Path) -> None:
    text = LINE.replace("offset\n", "offset + level\n").replace("offset: 0", "offset: 0, level: 0")
    done = fitkit("train", written(tmp_path, "c.yaml", text), "--no-save", "-q")
    assert (done.code, done.err) == (4, "")
    assert "offset, level" in done.out


def test_diverged_is_5(tmp_path: Path) -> None:
    config = written(tmp_path, "line.yaml", LINE)
    done = fitkit("train", config, "--no-save", "-q", "--set", "optimizer={kind: sgd, learning_rate: 10}")
    assert (done.code, done.err) == (5, "")
    assert done.out.startswith("Diverged")


def test_an_absent_device_is_7_and_tells_what_to_install(tmp_path: Path) -> None:
    config = written(tmp_path, "line.yaml", LINE)
    done = fitkit("train", config, "--device", "gpu", cwd=tmp_path, changes={"JAX_PLATFORMS": "cpu"})
    assert (done.code, done.out) == (7, "")
    assert "`gpu`" in done.err
    assert "fitkit[cuda]" in done.err
    assert not (tmp_path / "runs").exists()


def test_an_unwritable_place_is_8(tmp_path: Path) -> None:
    config = written(tmp_path, "line.yaml", LINE)
    for out in (config, config / "below"):
        done = fitkit("train", config, "--out", out)
        assert (done.code, done.out) == (8, "")
        assert str(out) in done.err
        assert "--out" in done.err
    assert config.read_text() == LINE


def test_a_bug_is_1_and_tells_how_to_report_it(tmp_path: Path) -> None:
    config = written(tmp_path, "line.yaml", LINE)
    broken = (
        "import warnings, fitkit.run.train as t, fitkit.cli.main as m;"
        "t.train = lambda *_: warnings.warn('for programmers', RuntimeWarning) or 1 / 0; m.main()"
    )
    done = python("-c", broken, "train", str(config), changes={"TMPDIR": str(tmp_path)})
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("internal error: ZeroDivisionError")
    assert "for programmers" not in done.err
    details = next(tmp_path.glob("fitkit-bug-*.txt"))
    assert str(details) in done.err
    assert "ZeroDivisionError" in details.read_text()
