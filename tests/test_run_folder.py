"""What a run leaves behind: whole or not at all, the same bytes for the same seed, and nothing of others touched."""

from __future__ import annotations

import csv
import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from command import LINE, fitkit, here, written

from fitkit.errors import FileSystemFault
from fitkit.run.folder import FILES, LOCK, RESULT, RunFolder, release_all

WHOLE = {"result.json", "config.yaml", "history.csv", "predictions.csv", "parameters.npz", "model.json", "model.npz"}
TABLE = "x,y\n" + "".join(f"{x},{2 * x + (-1) ** x}\n" for x in range(8))
MINIBATCHES = """\
data: {path: ../table.csv, where: x > 0}
model: y ~ slope * x + offset
parameters: {slope: 0, offset: {start: 0, max: 5}}
optimizer: {kind: adam, learning_rate: 0.1, batch_size: 2, epochs: 5}
seed: 3
"""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_text(text: str) -> Callable[[BinaryIO], object]:
    return lambda stream: stream.write(text.encode())


# -- through the real command -----------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_and_the_saved_config_the_same_numbers(tmp_path: Path) -> None:
    written(tmp_path, "table.csv", TABLE)
    (tmp_path / "configs").mkdir()
    written(tmp_path / "configs", "c.yaml", MINIBATCHES)
    runs = [tmp_path / "first", tmp_path / "second", tmp_path / "again", tmp_path / "other"]
    for out, config, more in (
        ("first", "configs/c.yaml", []),
        ("second", "configs/c.yaml", []),
        ("again", "first/config.yaml", []),
        ("other", "configs/c.yaml", ["--seed", "4"]),
    ):
        done = fitkit("train", config, "--out", out, *more, cwd=tmp_path)
        assert (done.code, done.err.splitlines()[-1]) == (0, f"saved to {out}")
        assert names(tmp_path / out) == WHOLE
    first, second, again, other = map(contents, runs)
    for name in WHOLE - {RESULT}:
        assert first[name] == second[name] == again[name], name
    for name in ("history.csv", "predictions.csv", "parameters.npz", "model.npz"):
        assert first[name] != other[name], "a seed that changes nothing would make this test empty"
    timeless = []
    for files in (first, second):
        result = json.loads(files[RESULT])
        result.pop("seconds")
        timeless.append(result)
    assert timeless[0] == timeless[1]


def test_the_files_say_what_the_result_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "c.yaml", LINE)
    done = here("train", "c.yaml")
    (run,) = (tmp_path / "runs/c").iterdir()
    assert done.err == f"saved to {run.relative_to(tmp_path)}\n"
    assert names(run) == WHOLE
    result = json.loads((run / RESULT).read_text())
    with (run / "history.csv").open(newline="") as stream:
        history = list(csv.DictReader(stream))
    assert list(history[0]) == ["step", "loss", "optimality", "change"]
    assert [int(row["step"]) for row in history] == list(range(result["steps"] + 1))
    assert float(history[0]["loss"]) == pytest.approx(9 / 5)  # residuals 1, 2, 0, 2, 0 at the start
    assert float(history[-1]["loss"]) == result["loss"]["final"] == pytest.approx(3.6 / 5)
    with (run / "predictions.csv").open(newline="") as stream:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]
    assert list(rows[0])[:4] == ["x", "y", "prediction", "residual"]
    for row, (x, y) in zip(rows, enumerate((1, 3, 2, 5, 4)), strict=True):
        assert (row["x"], row["y"]) == (x, y)
        assert row["prediction"] == pytest.approx(0.8 * x + 1.4)
        assert row["residual"] == row["y"] - row["prediction"]
    with np.load(run / "parameters.npz", allow_pickle=False) as saved:
        assert {name: float(saved[name]) for name in saved} == {k: v["value"] for k, v in result["parameters"].items()}


def test_parameters_may_be_called_as_numpy_calls_its_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = LINE.replace("slope", "file").replace("offset", "allow_pickle")
    done = here("train", written(tmp_path, "c.yaml", text), "--out", "run", "-q")
    assert done.code == 0
    with np.load(tmp_path / "run/parameters.npz") as saved:
        assert (float(saved["file"]), float(saved["allow_pickle"])) == pytest.approx((0.8, 1.4))


def test_an_earlier_run_is_replaced_only_when_told_and_by_a_run_that_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = written(tmp_path, "c.yaml", LINE)
    bad = written(tmp_path, "bad.yaml", LINE.replace("[1, 3,", "[1, .nan,"))
    run = tmp_path / "run"
    assert here("train", config, "--out", run).code == 0
    before = contents(run)

    refused = here("train", config, "--out", run)
    assert (refused.code, refused.out) == (8, "")
    assert "--overwrite" in refused.err
    failed = here("train", bad, "--out", run, "--overwrite")
    assert failed.code in {2, 3}
    assert contents(run) == before

    replaced = here("train", config, "--out", run, "--overwrite", "--set", "name=second")
    assert replaced.code == 0
    assert names(run) == WHOLE
    assert json.loads((run / RESULT).read_text())["name"] == "second"


def test_a_failed_run_leaves_nothing_not_even_empty_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "d.csv", "x,y\n1,2\n2,abc\n3,4\n")
    written(tmp_path, "c.yaml", "data: d.csv\nmodel: y ~ a * x\nparameters: {a: 1}\n")
    assert here("train", "c.yaml").code == 3
    assert here("train", "c.yaml", "--out", "a/b/c").code == 3
    (tmp_path / "mine").mkdir()
    assert here("train", "c.yaml", "--out", "mine").code == 3
    assert names(tmp_path) == {"d.csv", "c.yaml", "mine"}


def test_a_folder_that_is_no_run_is_refused_and_untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = written(tmp_path, "c.yaml", LINE)
    for held in ({"notes.txt": b"mine"}, {"notes.txt": b"mine", RESULT: b"{}"}, {"config.yaml": b"mine"}):
        other = tmp_path / f"other{len(held)}{next(iter(held))}"
        other.mkdir()
        for name, data in held.items():
            (other / name).write_bytes(data)
        for more in ([], ["--overwrite"]):
            done = here("train", config, "--out", other, *more)
            assert (done.code, done.out) == (8, "")
            assert "nothing was touched" in done.err
        assert contents(other) == held


def test_a_folder_in_use_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = written(tmp_path, "c.yaml", LINE)
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = here("train", config, "--out", "run", "--overwrite")
        assert (done.code, done.out) == (8, "")
        assert "in use by another run" in done.err
    assert names(tmp_path / "run") == {LOCK}, "the other run's lock is left alone"


# -- the folder itself ------------------------------------------------------------------------------------------------------


def test_files_have_no_names_before_all_are_written(tmp_path: Path) -> None:
    folder = RunFolder.claim(str(tmp_path / "run"), "n", overwrite=False)
    for name in FILES:
        folder.write(name, write_text(name))
        assert not names(folder.path) & set(FILES)
    folder.publish()
    folder.release()
    assert contents(folder.path) == {name: name.encode() for name in FILES}


def test_the_result_gets_its_name_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = []
    replace = Path.replace

    def recorded(self: Path, target: Path) -> Path:
        renamed.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", recorded)
    folder = RunFolder.claim(str(tmp_path / "run"), "n", overwrite=False)
    for name in FILES:
        folder.write(name, write_text(name))
    folder.publish()
    folder.release()
    assert renamed[-1] == RESULT
    assert sorted(renamed) == sorted(FILES)


def test_a_full_disk_is_told_and_keeps_the_earlier_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    earlier = dict.fromkeys(FILES, b"earlier")
    for name, data in earlier.items():
        (run / name).write_bytes(data)
    folder = RunFolder.claim(str(run), "n", overwrite=True)
    folder.write("config.yaml", write_text("later"))

    def full(stream: BinaryIO) -> None:
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(FileSystemFault, match=r"history\.csv` cannot be written: No space left on device"):
        folder.write("history.csv", full)
    folder.release()
    assert contents(run) == earlier


def test_files_that_the_later_run_does_not_write_go_with_the_earlier(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for written_files in (FILES, (RESULT, "config.yaml")):
        folder = RunFolder.claim(str(run), "n", overwrite=True)
        for name in written_files:
            folder.write(name, write_text(name))
        folder.publish()
        folder.release()
    assert names(run) == {RESULT, "config.yaml"}


def test_what_a_killed_run_left_does_not_block_its_folder(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for name in (LOCK, ".config.yaml.partial", ".history.csv.partial"):
        (run / name).touch()
    folder = RunFolder.claim(str(run), "n", overwrite=False)
    for name in FILES:
        folder.write(name, write_text(name))
    folder.publish()
    folder.release()
    assert names(run) == set(FILES)


def test_a_run_that_ended_between_the_check_and_the_lock_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    take_lock = RunFolder._take_lock

    def late(self: RunFolder) -> None:
        (run / RESULT).write_bytes(b"the other's")
        take_lock(self)

    monkeypatch.setattr(RunFolder, "_take_lock", late)
    with pytest.raises(FileSystemFault, match="holds an earlier run"):
        RunFolder.claim(str(run), "n", overwrite=False)
    assert contents(run) == {RESULT: b"the other's"}


def test_runs_that_begin_in_the_same_second_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = [RunFolder.claim(None, "a name/with: signs", overwrite=False) for _ in range(3)]
    assert len({folder.path for folder in folders}) == 3
    assert {folder.path.parent for folder in folders} == {Path("runs/a_name_with_signs")}
    release_all()
    assert not any(folder.path.exists() for folder in folders)


@pytest.mark.parametrize("name", ["..", "../..", "/", ".hidden", ""])
def test_no_name_leads_out_of_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder.claim(None, name, overwrite=False)
    assert folder.path.resolve().parent.parent == tmp_path / "runs"
    assert not folder.path.parent.name.startswith(".")
    folder.release()
