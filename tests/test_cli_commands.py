"""The commands beside `train`: list, schema, doctor, validate, completion, and what the group itself answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command import LINE, ROOT, fitkit, python, written

from fitkit import __version__
from fitkit.component import describe_fields
from fitkit.losses import LOSSES
from fitkit.models import MODELS
from fitkit.optimizers import OPTIMIZERS

COMPONENTS = {"models": MODELS, "losses": LOSSES, "optimizers": OPTIMIZERS}


def test_version_and_help() -> None:
    assert fitkit("--version").out == f"fitkit {__version__}\n"
    done = fitkit("--help")
    assert (done.code, done.err) == (0, "")
    for name in ("train", "validate", "list", "schema", "doctor"):
        assert f"\n  {name} " in done.out
        shown = fitkit(name, "-h")
        assert shown.code == 0
        assert f" {name} [OPTIONS]" in shown.out.splitlines()[0]
        assert max(map(len, shown.out.splitlines())) <= 80
    bare = fitkit()
    assert (bare.code, bare.out, bare.err) == (2, "", done.out)


def test_every_component_is_listed_with_its_keys_and_their_meaning() -> None:
    done = fitkit("list")
    assert (done.code, done.err) == (0, "")
    flat = " ".join(done.out.split())
    for title, components in COMPONENTS.items():
        assert f"\n{title}\n" in f"\n{done.out}"
        for cls in components:
            assert f"\n  {cls.kind}: " in done.out
            for key in describe_fields(cls):
                if key.documentation:
                    assert " ".join(f"({key.default}): {key.documentation}".replace("(", "", 1).split()) in flat
    assert max(map(len, done.out.splitlines())) <= 80
    assert "):\n" not in done.out, "a key without a meaning"
    assert "loaded" not in done.out, "not a key of a config"


@pytest.mark.parametrize("title", COMPONENTS)
def test_one_kind_is_listed_alone(title: str) -> None:
    done = fitkit("list", title)
    assert done.out.startswith(f"{title}\n")
    kinds = [line.split(":")[0].strip() for line in done.out.splitlines() if line[:3] == "  " + line[2:3].strip()]
    assert kinds == [cls.kind for cls in COMPONENTS[title]]


def test_the_schema_is_json_and_knows_every_kind() -> None:
    done = fitkit("schema")
    assert (done.code, done.err) == (0, "")
    schema = json.loads(done.out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    constants = set(values(schema, "const")) | {word for words in values(schema, "enum") for word in words}
    assert {cls.kind for components in COMPONENTS.values() for cls in components} <= constants
    assert {"data", "model", "parameters", "loss", "optimizer", "stopping", "uncertainty"} <= set(schema["properties"])


def values(tree: Any, key: str) -> list[Any]:
    """Return what stands under `key` anywhere in a tree."""
    if isinstance(tree, dict):
        below = [found for entry in tree.values() for found in values(entry, key)]
        return [tree[key], *below] if key in tree else below
    return [found for entry in tree for found in values(entry, key)] if isinstance(tree, list) else []


def test_doctor_tells_versions_and_devices_in_both_ways() -> None:
    facts = json.loads(fitkit("doctor", "--json", changes={"JAX_PLATFORMS": "cpu"}).out)
    assert facts["fitkit"] == __version__
    assert facts["default device"] == "cpu"
    assert facts["64-bit floats"] == "yes"
    assert facts["devices"]
    assert "not installed" not in facts.values()
    text = fitkit("doctor", changes={"JAX_PLATFORMS": "cpu"})
    assert (text.code, text.err) == (0, "")
    assert [line.split("  ")[0] for line in text.out.splitlines()] == list(facts)


# -- validate ---------------------------------------------------------------------------------------------------------------


def test_validate_takes_files_folders_and_globs(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("a.yaml", "b.yml", "below/c.yaml", "_parent.yaml", "d.txt"):
        written(tmp_path, name, LINE)
    (tmp_path / "run").mkdir()
    written(tmp_path / "run", "config.yaml", LINE)
    written(tmp_path / "run", "result.json", "{}")
    every = fitkit("validate", ".", cwd=tmp_path)
    assert (every.code, every.err) == (0, "")
    assert every.out.splitlines() == ["a.yaml: ok", "b.yml: ok", "below/c.yaml: ok"]
    some = fitkit("validate", "*.y*ml", "a.yaml", "below", cwd=tmp_path)
    assert sorted(some.out.splitlines()) == ["_parent.yaml: ok", "a.yaml: ok", "b.yml: ok", "below/c.yaml: ok"]
    assert fitkit("validate", "-q", "a.yaml", cwd=tmp_path).out == ""
    assert fitkit("validate", "-", cwd=tmp_path, stdin=LINE).out == "-: ok\n"
    for nothing in ("run", "*.json5"):
        assert fitkit("validate", nothing, cwd=tmp_path).code == 2


def test_validate_goes_on_after_a_wrong_config_and_tells_each(tmp_path: Path) -> None:
    written(tmp_path, "a.yaml", LINE + "los: mse\n")
    written(tmp_path, "b.yaml", LINE)
    written(tmp_path, "c.yaml", LINE + "optimiser: lm\n")
    done = fitkit("validate", "a.yaml", "b.yaml", "c.yaml", "missing.yaml", cwd=tmp_path)
    assert done.code == 2
    assert done.out.splitlines() == ["a.yaml: wrong", "b.yaml: ok", "c.yaml: wrong", "missing.yaml: wrong"]
    for message in ("did you mean `loss`?", "did you mean `optimizer`?", "there is no such file"):
        assert message in done.err


def test_validate_reads_headers_and_with_data_all_rows(tmp_path: Path) -> None:
    written(tmp_path, "d.csv", "x,y\n1,2\n2,abc\n3,4\n")
    written(tmp_path, "c.yaml", "data: d.csv\nmodel: y ~ a * x\nparameters: {a: 1}\n")
    assert fitkit("validate", "c.yaml", cwd=tmp_path).code == 0
    whole = fitkit("validate", "c.yaml", "--data", cwd=tmp_path)
    assert (whole.code, whole.out) == (3, "c.yaml: wrong\n")
    assert " --> d.csv:3:3" in whole.err
    renamed = fitkit("validate", "c.yaml", "--set", "model=z ~ a * x", cwd=tmp_path)
    assert renamed.code == 2
    assert fitkit("validate", "c.yaml", "--set", "data=e.csv", cwd=tmp_path).code == 3


def test_every_config_of_the_project_is_right() -> None:
    done = fitkit("validate", "configs")
    assert (done.code, done.err) == (0, "")
    assert done.out.count(": ok\n") == len([p for p in (ROOT / "configs").rglob("*.yaml") if p.name[0] != "_"])


# -- completion -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("fitkit ", {"plain,train", "plain,validate", "plain,list", "plain,schema", "plain,doctor"}),
        ("fitkit tr", {"plain,train"}),
        ("fitkit train --", {"plain,--set", "plain,--json", "plain,--allow-python", "plain,--out"}),
        ("fitkit train x.yaml --device ", {"plain,cpu", "plain,gpu", "plain,auto", "plain,tpu"}),
        ("fitkit list ", {"plain,models", "plain,losses", "plain,optimizers"}),
        ("fitkit train con", {"file,con"}),
    ],
)
def test_completion(words: str, expected: set[str]) -> None:
    count = len(words.split(" ")) - 1
    variables = {"_FITKIT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    done = python(
        "-c", "import sys; sys.argv[0] = 'fitkit'; from fitkit.cli.main import main; main()", changes=variables
    )
    assert (done.code, done.err) == (0, "")
    assert expected <= set(done.out.splitlines())


def test_the_completion_script_is_a_script() -> None:
    variables = {"_FITKIT_COMPLETE": "zsh_source"}
    done = python(
        "-c", "import sys; sys.argv[0] = 'fitkit'; from fitkit.cli.main import main; main()", changes=variables
    )
    assert done.code == 0
    assert "compdef _fitkit_completion fitkit" in done.out
