"""`fitkit batch --baseline` and `--update-baseline`: what drifted, what is new, what is gone, and what is written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from batches import DIVERGES, LINE, TYPO
from command import Outcome, environment, here, written


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three fits: of a line, and of a line for each of two starts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    written(tmp_path, "configs/line.yaml", LINE)
    matrix = "matrix: {parameters.slope: [1, 2]}\n"
    written(tmp_path, "configs/starts.yaml", LINE.replace("slope: 1, ", "slope: {start: 1}, ") + matrix)
    return tmp_path


def run(*arguments: str | Path) -> Outcome:
    return here("batch", "configs", "--no-save", "--quiet", *arguments)


def entries(path: str = "base.json") -> dict[str, Any]:
    return dict(json.loads(Path(path).read_text())["fits"])


def moved(folder: Path) -> None:
    """Move one number of the table of `line`: 0.8 becomes 0.9, 1.4 becomes 1.3."""
    written(folder, "configs/line.yaml", LINE.replace("5, 4]", "5, 4.5]"))


def test_nothing_drifts_where_nothing_changed_and_the_bytes_are_the_same(repository: Path) -> None:
    assert run("--update-baseline", "base.json").code == 0
    first = (repository / "base.json").read_bytes()
    done = run("--baseline", "base.json", "--update-baseline", "base.json")
    assert (done.code, done.err) == (0, "")
    assert "baseline base.json: 3 fits, 6 numbers compared: nothing drifted" in done.out
    assert (repository / "base.json").read_bytes() == first
    assert str(repository) not in first.decode()
    assert list(entries()) == [
        "configs/line.yaml", "configs/starts.yaml[slope=1]", "configs/starts.yaml[slope=2]",
    ]  # fmt: skip
    assert entries()["configs/line.yaml"]["parameters"]["slope"]["value"] == pytest.approx(0.8, abs=1e-12)


def test_what_drifted_is_named_and_is_6(repository: Path) -> None:
    run("--update-baseline", "base.json")
    moved(repository)
    done = run("--baseline", "base.json", "--junit", "j.xml", "--markdown", "p.md")
    assert done.code == 6
    assert "1 drifted" in done.out
    assert "  drifted  configs/line.yaml\n" in done.out
    assert "slope: 0.8 -> 0.9: by 0.1, 8e-07 allowed" in done.out
    assert "offset: 1.4 -> 1.3" in done.out
    assert "starts" not in done.out
    cases = {case.get("name"): case for case in ET.parse("j.xml").iter("testcase")}  # noqa: S314 - our own file
    assert cases["line: baseline"].find("failure") is not None
    assert cases["starts[slope=1]: baseline"].find("failure") is None
    assert "not as in the baseline" in Path("p.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--rtol", "0.2"], 0), (["--atol", "0.11"], 0), (["--atol", "0.09"], 6), (["--within", "2sigma"], 0)],
)
def test_tolerances_of_the_command_line(repository: Path, arguments: list[str], code: int) -> None:
    run("--update-baseline", "base.json")
    moved(repository)
    assert run("--baseline", "base.json", *arguments).code == code


def test_a_tolerance_for_numbers_takes_the_place_of_one_in_errors(repository: Path) -> None:
    run("--update-baseline", "base.json", "--within", "2sigma")
    moved(repository)
    assert run("--baseline", "base.json").code == 0
    assert run("--baseline", "base.json", "--rtol", "1e-6").code == 6
    assert run("--baseline", "base.json", "--rtol", "1e-6", "--within", "2sigma").code == 0


def test_other_data_drift_where_their_errors_do_not_explain_it(repository: Path) -> None:
    """All of the line moved up by 5; the offset's error is sqrt(1.2 (1/5 + 4/10)) = 0.849 both times: 4.17 combined ones."""
    run("--update-baseline", "base.json")
    written(repository, "configs/line.yaml", LINE.replace("[1, 3, 2, 5, 4]", "[6, 8, 7, 10, 9]"))
    done = run("--baseline", "base.json", "--within", "2sigma")
    assert done.code == 6
    # of 6 degrees of freedom, by scipy: t.isf(norm.sf(2) / 2, 6) = 3.042
    assert "offset: 1.4 -> 6.4: by 4.17 combined standard errors on other data, 3.04 allowed" in done.out
    assert "slope" not in done.out
    assert "shared by 2 numbers on other data" in " ".join(done.out.split())


def test_tolerances_of_the_file_hold_where_the_command_line_gives_none(repository: Path) -> None:
    run("--update-baseline", "base.json", "--rtol", "0.2")
    moved(repository)
    assert run("--baseline", "base.json").code == 0
    assert run("--baseline", "base.json", "--rtol", "1e-6").code == 6
    run("--update-baseline", "base.json")
    assert json.loads((repository / "base.json").read_text())["tolerance"]["rtol"] == 0.2


def test_what_is_new_is_told_and_what_is_gone_is_6(repository: Path) -> None:
    run("--update-baseline", "base.json")
    (repository / "configs/line.yaml").rename(repository / "configs/renamed.yaml")
    done = run("--baseline", "base.json", "--junit", "j.xml")
    assert done.code == 6
    assert "  new      configs/renamed.yaml" in done.out
    assert "  gone     configs/line.yaml" in done.out
    assert [suite.get("name") for suite in ET.parse("j.xml").iter("testsuite")][-1] == "base.json"  # noqa: S314 - ours
    update = run("--update-baseline", "base.json")
    assert "configs/line.yaml: gone, and removed" in update.out
    assert "configs/renamed.yaml" in entries()
    assert "configs/line.yaml" not in entries()
    written(repository, "configs/more.yaml", LINE)
    assert run("--baseline", "base.json").code == 0  # new alone


def test_brackets_in_the_path_of_a_config_are_its_own(repository: Path) -> None:
    for file in (repository / "configs").iterdir():
        file.rename(file.with_name(f"[x] {file.name}"))
    run("--update-baseline", "base.json")
    starts = [f"configs/[x] starts.yaml[slope={slope}]" for slope in (1, 2)]
    assert list(entries()) == ["configs/[x] line.yaml", *starts]
    line = repository / "configs/[x] line.yaml"
    good = line.read_text()
    written(repository, "configs/[x] line.yaml", TYPO)
    assert "gone" not in run("--baseline", "base.json").out  # it is there, and says itself what is wrong
    line.unlink()
    assert "gone     configs/[x] line.yaml" in run("--baseline", "base.json").out
    assert "gone" not in here("batch", "configs/[x] starts.yaml", "--no-save", "--baseline", "base.json").out
    line.write_text(good.replace("slope: 1, ", "slope: {start: 1}, ") + "matrix: {parameters.slope: [1]}\n")
    assert "gone     configs/[x] line.yaml" in here("batch", line, "--no-save", "--baseline", "base.json").out


@pytest.mark.usefixtures("repository")
def test_a_part_of_the_batch_does_not_miss_the_rest() -> None:
    run("--update-baseline", "base.json")
    assert run("--baseline", "base.json", "--filter", "line").code == 0
    assert here("batch", "configs/line.yaml", "--no-save", "--baseline", "base.json").code == 0
    run("--update-baseline", "base.json", "--filter", "line")
    assert len(entries()) == 3


def test_what_failed_is_never_written_silently(repository: Path) -> None:
    written(repository, "configs/wild.yaml", DIVERGES)
    done = run("--update-baseline", "base.json")
    assert done.code == 5
    assert "configs/wild.yaml: failed, and is not in the baseline" in done.out
    assert "configs/wild.yaml" not in entries()
    before = entries()["configs/line.yaml"]
    written(repository, "configs/line.yaml", TYPO)
    written(repository, "configs/starts.yaml", "data: [\n")
    done = run("--update-baseline", "base.json")
    assert "configs/line.yaml: failed, and keeps its old entry" in done.out
    assert entries()["configs/line.yaml"] == before
    assert len(entries()) == 3  # a config that cannot be read does not tell its matrix: none of its fits is gone


def test_a_fit_that_failed_is_not_compared_and_keeps_its_code(repository: Path) -> None:
    run("--update-baseline", "base.json")
    written(repository, "configs/line.yaml", TYPO)
    done = run("--baseline", "base.json")
    assert done.code == 2
    assert "  failed   configs/line.yaml: not compared" in done.out


def test_an_expectation_that_is_missed_is_compared_but_not_written(repository: Path) -> None:
    run("--update-baseline", "base.json")
    before = (repository / "base.json").read_bytes()
    written(repository, "configs/line.yaml", LINE.replace("5, 4]", "5, 4.5]") + "expect: {loss: {max: 0.1}}\n")
    done = run("--baseline", "base.json", "--update-baseline", "base.json")
    assert done.code == 6
    assert "  drifted  configs/line.yaml" in done.out
    assert (repository / "base.json").read_bytes() == before


def test_under_github_actions_a_drift_is_annotated(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("--update-baseline", "base.json")
    moved(repository)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(repository))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    done = run("--baseline", "base.json")
    assert "::error file=configs/line.yaml,line=1,title=line%3A not as in the baseline::parameters." in done.err
    written(repository, "configs/line.yaml", LINE + "expect:\n  loss: {max: 0.1}\n")
    done = run()
    assert done.err.count("::error") == 1
    assert "::error file=configs/line.yaml,line=5,col=3,title=line::`loss`%3A".replace("%3A", ":") in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--baseline", "absent.json"], 9, "it is not there"),
        (["--baseline", "configs/line.yaml"], 9, "it is damaged"),
        (["--update-baseline", "configs/line.yaml"], 9, "it is damaged"),
        (["--update-baseline", "absent/base.json"], 8, "there is no folder"),
        (["--update-baseline", "configs"], 8, "it is a folder"),
        (["--within", "2sigma"], 2, "add `--baseline`"),
        (["--baseline", "b.json", "--within", "2"], 2, "2sigma"),
        (["--baseline", "b.json", "--rtol", "1e-12"], 2, "--rtol"),
        (["--baseline", "b.json", "--rtol", "nan"], 2, "nan is not a finite number"),
        (["--baseline", "b.json", "--atol", "inf"], 2, "inf is not a finite number"),
        (["--timeout", "nan"], 2, "nan is not a finite number"),
    ],
)
def test_mistakes_are_told_before_the_first_fit(
    repository: Path, arguments: list[str], code: int, words: str
) -> None:  # fmt: skip
    done = run(*arguments)
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert (repository / "configs/line.yaml").read_text() == LINE


def test_a_batch_that_is_stopped_writes_no_baseline(repository: Path) -> None:
    run("--update-baseline", "base.json")
    before = (repository / "base.json").read_bytes()
    moved(repository)
    endless = LINE + "optimizer: {kind: adam, learning_rate: 1e-9, epochs: 100000000}\n"
    written(repository, "configs/zzz.yaml", endless)
    process = subprocess.Popen(
        [sys.executable, "-m", "fitkit", "batch", "configs", "--no-save", "--update-baseline", "base.json"],
        cwd=repository, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("starts[slope=2]"):
            break
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "baseline base.json: not written, because the batch was stopped" in err
    assert (repository / "base.json").read_bytes() == before
