"""The README tells the truth: its config gives its output, its commands work, and its new component is one."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import here

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the README's code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def run(*arguments: str, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"} | ({"PYTHONPATH": str(path)} if path else {})
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def without_times(text: str) -> str:
    """Mask seconds, and what lies at the rounding of another processor: slopes and counts of steps."""
    text = re.sub(r"\d+\.\d+ s compiling and \d+\.\d+ s running", "_", " ".join(text.split()))
    text = re.sub(r"\d\.\de-\d\d|\d+ (?=steps|evaluations|right)|fewest in \w+", "_ ", text)
    return re.sub(r"\d+\.\d+ s", "_ s", text)


def test_there_are_exactly_two_commands_and_both_set_up() -> None:
    commands = blocks("sh")
    assert len(commands) == 2
    assert all(command.startswith("python3 -m venv .venv && .venv/bin/pip install") for command in commands)
    assert "fitkit train configs/nist/" in commands[0]
    assert "pytest" in commands[1]


def test_the_config_gives_the_output_beside_it(tmp_path: Path) -> None:
    (config,), (console,) = blocks("yaml"), blocks("console")
    shutil.copytree(ROOT / "datasets", tmp_path / "datasets")
    (tmp_path / "decay.yaml").write_text(config, encoding="utf-8")
    command, _, expected = console.partition("\n")
    assert command == "$ fitkit train decay.yaml"
    done = run("-m", "fitkit", "train", "decay.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert without_times(done.stdout) == without_times(expected)


def test_fits_as_tests_say_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = README[README.index("## Fits as tests") : README.index("## Checking gradients")]
    (config,) = re.findall(r"^```yml\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    shutil.copytree(ROOT / "datasets", tmp_path / "datasets")
    (tmp_path / "fits").mkdir()
    (tmp_path / "fits/decay.yaml").write_text(config, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    commands = [
        line[2:] for block in blocks("text") if block in section for line in block.splitlines() if line[:1] == "$"
    ]
    assert [command.split()[1] for command in commands] == ["train", "batch", "batch", "compare"]
    train, update, batch, compare = (shlex.split(command)[1:] for command in commands)
    found = here(*train, "--no-save")
    assert (found.code, table("expectation", found.out)) == (6, table("expectation", section))
    text = config.replace("    background: {min: 0, max: 20}\n", "")
    (tmp_path / "fits/decay.yaml").write_text(text, encoding="utf-8")
    assert here("train", "fits/decay.yaml", "--out", "runs/before").code == 0
    assert here(*update).code == 0
    found = here(*batch)
    assert (found.code, table("baseline", found.out)) == (6, table("baseline", section))
    assert here("train", "fits/decay.yaml", "--out", "runs/after", "--set", "data.where=t < 9").code == 0
    found = here(*compare)
    assert (found.code, found.err) == (0, "")
    assert table("parameter", found.out) == table("parameter", section)
    assert table("status", found.out) == table("status", section)


def test_many_fits_say_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = README[README.index("## Many fits") : README.index("## Fits as tests")]
    (sweep,) = re.findall(r"^```yml\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    shutil.copytree(ROOT / "datasets", tmp_path / "datasets")
    (tmp_path / "fits").mkdir()
    (tmp_path / "fits/sweep.yaml").write_text(sweep, encoding="utf-8")
    text = "data: ../datasets/decay.csv\nmodel: counts ~ amplitude * exp(-rate * t) + background\n"
    text += "parameters: {amplitude: 150, rate: {start: 0.5, min: 0}, background: 10}\n"
    (tmp_path / "fits/_base.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "fits/typo.yaml").write_text(text.replace("rate *", "rat *"), encoding="utf-8")
    expected = "extends: _base.yaml\nexpect: {parameters: {rate: {value: 0.35, atol: 0.005}}}\n"
    (tmp_path / "fits/check.yaml").write_text(expected, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = here("batch", "fits")

    def without_seconds(text: str) -> list[str]:
        text = re.sub(r"\d+ programs", "_ programs", re.sub(r"\d+\.\d\d$", "_", text, flags=re.MULTILINE))
        return re.sub(r"\d+\.\d s:", "_ s:", text).splitlines()

    (block,) = (block for block in blocks("text") if block.startswith("$ fitkit batch fits\n"))
    assert found.code == 10
    assert without_seconds(found.out) == without_seconds(block)[1:]


def table(first: str, text: str) -> list[str]:
    """Return the lines from that which begins with a word to the next empty one or the end of its block, in ASCII."""
    lines = text.replace("→", "->").splitlines()
    start = next(number for number, line in enumerate(lines) if line.split(" ")[0] == first)
    rest = [line.rstrip() for line in lines[start:]]
    return rest[: next((number for number, line in enumerate(rest) if line in ("", "```")), len(rest))]


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the README's loss in it."""
    root = tmp_path_factory.mktemp("extended")
    shutil.copytree(ROOT / "fitkit", root / "fitkit", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", root / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    (source,), (diff,) = blocks("python"), blocks("diff")
    (root / "fitkit/losses/geman_mcclure.py").write_text(source, encoding="utf-8")
    before, added, after = diff.splitlines()
    assert added.startswith("+")
    folder = root / "fitkit/losses/__init__.py"
    text = folder.read_text(encoding="utf-8")
    old, new = f"{before[1:]}\n{after[1:]}\n", f"{before[1:]}\n{added[1:]}\n{after[1:]}\n"
    assert text.count(old) == 1
    text = text.replace(old, new).replace(
        "from fitkit.losses.huber", "from fitkit.losses.geman_mcclure import GemanMcClure\nfrom fitkit.losses.huber"
    )
    folder.write_text(text, encoding="utf-8")
    return root


def test_a_new_loss_fits(extended: Path) -> None:
    config = "data: {values: {x: [0, 1, 2, 3, 4, 5], y: [1, 3, 5, 7, 900, 11]}}\nmodel: y ~ a + b * x\n"
    config += "parameters: {a: 0.9, b: 2.1}\nloss: {kind: geman_mcclure, scale: 2}\n"
    (extended / "fit.yaml").write_text(config, encoding="utf-8")
    done = run("-m", "fitkit", "train", "fit.yaml", "--no-save", cwd=extended, path=extended)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^a +(1|0\.9999\d*|1\.0000\d*) ", done.stdout, flags=re.MULTILINE), done.stdout


def test_a_new_loss_is_listed_and_in_the_schema(extended: Path) -> None:
    listed = run("-m", "fitkit", "list", "losses", cwd=extended, path=extended).stdout
    assert "geman_mcclure: Geman and McClure's loss" in listed
    assert "The residual beyond which a row loses its influence." in " ".join(listed.split())
    assert '"geman_mcclure"' in run("-m", "fitkit", "schema", cwd=extended, path=extended).stdout


def test_a_new_loss_is_held_to_the_laws(extended: Path) -> None:
    done = run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_losses.py", "-k", "GemanMcClure or geman_mcclure",
        cwd=extended, path=extended,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert re.search(r"[1-9]\d* passed", done.stdout), done.stdout


def test_every_component_has_its_line() -> None:
    from fitkit.losses import LOSSES
    from fitkit.models import MODELS
    from fitkit.optimizers import OPTIMIZERS

    kinds = [cls.kind for cls in (*LOSSES, *OPTIMIZERS)]
    assert [kind for kind in kinds if f"`{kind}`" not in README] == []
    assert [cls.kind for cls in MODELS if cls.kind not in README] == []


def test_every_dependency_has_its_reason() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.split(r"[<>=\[ ]", entry)[0] for entry in project["dependencies"]]
    table = README[README.index("## Why each dependency") : README.index("## Contributing")]
    assert [name for name in names if not re.search(rf"[| ,]{re.escape(name)}[ ,|]", table)] == []
