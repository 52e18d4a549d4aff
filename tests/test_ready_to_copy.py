"""What users copy into their pipelines: the action's scripts are run as a runner would, the hooks on our own configs."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from batches import LINE
from command import ROOT, environment, here, written

ACTION = ROOT / ".github/actions/fitkit"
DESCRIPTION: dict[str, Any] = yaml.safe_load((ACTION / "action.yml").read_text(encoding="utf-8"))
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / "docs/workflow.yml").read_text(encoding="utf-8"))
GITLAB: dict[str, Any] = yaml.safe_load((ROOT / "docs/gitlab-ci.yml").read_text(encoding="utf-8"))


def steps() -> list[dict[str, Any]]:
    return list(DESCRIPTION["runs"]["steps"])


def script(folder: Path, name: str, text: str) -> Path:
    """Write a program that stands for another."""
    path = written(folder, name, f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# -- the action -------------------------------------------------------------------------------------------------------------


def test_the_action_calls_what_is_there_and_takes_no_text_into_its_commands() -> None:
    called = [step["run"] for step in steps() if "run" in step]
    assert called == ['"$GITHUB_ACTION_PATH/install"', '"$GITHUB_ACTION_PATH/batch"']
    assert all(os.access(ACTION / name, os.X_OK) for name in ("install", "batch"))
    assert not any("${{" in run for run in called)  # an input is data, never a part of a command
    assert all(step.get("shell") == "bash" for step in steps() if "run" in step)


def test_every_input_reaches_its_script_and_every_name_is_an_input() -> None:
    text = (ACTION / "action.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"inputs\.([a-z-]+)", text)) == set(DESCRIPTION["inputs"])
    batch = (ACTION / "batch").read_text(encoding="utf-8")
    (variables,) = (step["env"] for step in steps() if "env" in step)
    assert set(variables) == set(re.findall(r"FITKIT_[A-Z]+", batch))


def run_action(folder: Path, **inputs: str) -> tuple[int, str, dict[str, str]]:
    """Run the action's script as a runner does; return its exit code, what it said, and its outputs."""
    shims = folder / "shims"
    shims.mkdir()
    script(shims, "fitkit", f'exec {shlex.quote(sys.executable)} -m fitkit "$@"')
    files = {name: str(folder / name.lower()) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    (variables,) = (step["env"] for step in steps() if "env" in step)
    given = {}
    for variable, expression in variables.items():
        name = expression.removeprefix("${{ inputs.").removesuffix(" }}")
        given[variable] = inputs.pop(name, DESCRIPTION["inputs"][name]["default"])
    assert not inputs
    done = subprocess.run(
        [ACTION / "batch"],
        cwd=folder,
        env=environment({
            **files, **given, "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(folder),
            "PATH": f"{shims}{os.pathsep}{os.environ['PATH']}",
        }),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    outputs = (folder / "github_output").read_text().splitlines() if (folder / "github_output").exists() else []
    return done.returncode, done.stdout + done.stderr, dict(line.split("=", 1) for line in outputs)


def test_a_run_of_the_action_annotates_summarizes_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my fits").mkdir()
    written(tmp_path, "my fits/line.yaml", LINE)
    assert here("batch", "my fits", "--no-save", "--update-baseline", "base.json").code == 0
    written(tmp_path, "my fits/line.yaml", LINE.replace("5, 4]", "5, 4.5]"))
    code, said, outputs = run_action(tmp_path, paths="\nmy fits\n", baseline="base.json", arguments="--no-save\n-q")
    assert (code, outputs) == (6, {"exit-code": "6"}), said
    assert "::error file=my fits/line.yaml" in said
    assert "not as in the baseline" in (tmp_path / "github_step_summary").read_text()
    reports = tmp_path / "fitkit-reports"
    assert {path.name for path in reports.iterdir()} == {"junit.xml", "results.jsonl", "report.md"}
    assert json.loads((reports / "results.jsonl").read_text())["status"] == "converged"


def test_the_action_installs_the_version_that_it_is_of(tmp_path: Path) -> None:
    """With a python that writes down what it is asked instead of doing it."""
    shims, told = tmp_path / "shims", tmp_path / "told"
    shims.mkdir()
    record = f'echo "$@" >> {told}'
    script(
        shims, "python3", f'{record}; mkdir -p "$3/bin"; cp {shims}/pip-python "$3/bin/python"; touch "$3/bin/fitkit"'
    )
    script(shims, "pip-python", record)
    places = {"RUNNER_TEMP": str(tmp_path), "GITHUB_PATH": str(tmp_path / "path"), "PATH": f"{shims}:/usr/bin:/bin"}
    done = subprocess.run([ACTION / "install"], env=environment(places), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    venv, install = told.read_text().splitlines()
    assert venv == f"-m venv {tmp_path}/fitkit"
    assert install.startswith("-m pip install")
    assert Path(install.split()[-1]).resolve() == ROOT
    added = Path((tmp_path / "path").read_text().strip())
    assert [path.name for path in added.iterdir()] == ["fitkit"]
    assert (added / "fitkit").resolve() == (tmp_path / "fitkit/bin/fitkit").resolve()


def test_the_workflow_uses_the_action_as_it_is() -> None:
    (job,) = WORKFLOW["jobs"].values()
    (step,) = (step for step in job["steps"] if "fitkit" in step["uses"])
    assert step["uses"].split("@")[0] == f"OWNER/fitkit/{ACTION.relative_to(ROOT).as_posix()}"
    assert set(step["with"]) <= set(DESCRIPTION["inputs"])
    (upload,) = (step for step in job["steps"] if "upload-artifact" in step["uses"])
    assert upload["with"]["path"] == DESCRIPTION["inputs"]["reports"]["default"]


def test_gitlabs_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    written(tmp_path, "configs/line.yaml", LINE)
    assert here("batch", "configs", "--no-save", "--update-baseline", "baseline.json").code == 0
    command = shlex.split(GITLAB["fits"]["script"][-1])
    assert command[0] == "fitkit"
    assert here(*command[1:], "--no-save").code == 0
    artifacts = GITLAB["fits"]["artifacts"]
    assert all(Path(path).exists() for path in (*artifacts["paths"], artifacts["reports"]["junit"]))


# -- the hook ---------------------------------------------------------------------------------------------------------------


def chosen(path: str) -> bool:
    """Return whether pre-commit would hand a file to the hook."""
    return bool(re.search(HOOK["files"], path)) and not re.search(HOOK["exclude"], path)


def test_the_hook_takes_configs_and_leaves_parents() -> None:
    assert [chosen(path) for path in ("configs/a.yaml", "fits/configs/b/c.yml", "configs/_base.yaml", "other/a.yaml")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_the_hook_passes_our_own_configs_and_stops_a_mistake(tmp_path: Path) -> None:
    command = HOOK["entry"].split()
    assert command[0] == "fitkit"
    configs = [path for path in (ROOT / "configs").rglob("*.yaml") if chosen(path.relative_to(ROOT).as_posix())]
    assert len(configs) > 50
    done = here(*command[1:], *configs)
    assert (done.code, done.out, done.err) == (0, "", "")
    mistake = here(*command[1:], configs[0], written(tmp_path, "line.yaml", LINE.replace("slope: 1", "slop: 1")))
    assert mistake.code == 2
    assert "line.yaml:2:12" in mistake.err
