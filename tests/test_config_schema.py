"""The JSON Schema: what it accepts, and what an editor can show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fitkit.component import describe_fields
from fitkit.config import json_schema
from fitkit.config.kinds import SECTIONS, keys
from fitkit.yaml_text import decode, parse, plain

CONFIGS = sorted((Path(__file__).parent.parent / "configs").rglob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json.loads(json.dumps(json_schema()))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def values(text: bytes) -> Any:
    return plain(parse(*decode(text, "fit.yaml")).root)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_of_the_repository_fits(path: Path, validator: Draft202012Validator) -> None:
    assert [error.message for error in validator.iter_errors(values(path.read_bytes()))] == []


@pytest.mark.parametrize(
    "line",
    [
        "los: mse",
        "loss: hubber",
        "loss: {kind: huber, delta: 0}",
        "loss: {delta: 1}",
        "optimizer: {kind: lm, epochs: 3}",
        "seed: 1.5",
        "parameters: {a: {strat: 1}}",
        "parameters: {a: true}",
        "precision: float16",
        "data: {pth: x}",
    ],
)
def test_what_load_refuses_does_not_fit(line: str, validator: Draft202012Validator) -> None:
    assert list(validator.iter_errors(values(line.encode())))


@pytest.mark.parametrize(
    "line", ["loss: {kind: huber, delta: 1/3}", "parameters: {a: log(2), b: {start: log(2)}}", "seed: 2*5"]
)
def test_constants_may_stand_for_numbers(line: str, validator: Draft202012Validator) -> None:
    assert list(validator.iter_errors(values(line.encode()))) == []


def test_every_key_of_every_component_is_there_with_its_docstring() -> None:
    definitions = json_schema()["$defs"]
    for components in SECTIONS.values():
        for cls in components:
            properties = definitions[cls.__name__]["properties"]
            assert set(properties) - {"kind"} == set(keys(cls))
            assert definitions[cls.__name__]["description"]
            for field in describe_fields(cls):
                if field.name in properties and field.documentation:
                    assert properties[field.name]["description"] == field.documentation
