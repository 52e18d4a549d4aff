"""The config language: from YAML to components, with every mistake of a file told at once, at its place.

Sections are components (frozen dataclasses); pydantic checks values against their annotations, and nothing about a
component is written down here twice.

| code | what is wrong |
|------|---------------|
| E100 | the config file cannot be read |
| E101 | it is no text: too large, not UTF-8, control characters, empty |
| E102 | YAML syntax |
| E103 | YAML that the language leaves out: aliases, anchors, tags, merge keys, several documents, deep nesting |
| E104 | an unknown key |
| E105 | a key is missing |
| E106 | a duplicate key |
| E107 | an unknown kind, or not one of the words that can stand there |
| E108 | a value of the wrong type |
| E109 | a number outside its range |
| E110 | not available yet |
| E111 | keys or sections that exclude or need each other |
| E112 | a parameter's start, bounds, scale and ties, or an expectation's ends, contradict each other |
| E113 | a name that is not allowed or taken |
| E114 | `extends` |
| E115 | `--set` |
| E120 | a name that is neither a column nor a parameter |
| E121 | a name that is both |
| E122 | a parameter where only columns can stand, or the reverse, or a formula that lacks what it is about |
| E123 | a config for `check-grad` alone, given to another command |
| E124 | a config of many fits, a `matrix`, given to a command that makes one |
| E125 | a batch in which nothing is to be fitted |
| E160 | the file of a python model |
| E161 | what a python model returns |
| E162 | a python model that fails, or cannot be differentiated |
| E163 | a python model without `--allow-python` |
| E2xx | a formula (`fitkit.expressions`); E210: a constraint |
| E601 | an expectation that the result does not meet |
| E3xx | the data (`fitkit.readers`); E308: a column that `data` or the model names and the table lacks |
"""

from __future__ import annotations

from typing import Any

from fitkit.config.config import Config
from fitkit.config.load import load
from fitkit.config.names import Roles, check_names
from fitkit.config.parameter_names import no_parameter
from fitkit.config.resolved import plain_values, resolved
from fitkit.config.source import ConfigSource
from fitkit.config.tables import table_of
from fitkit.config.validate import validate

__all__ = [
    "Config",
    "ConfigSource",
    "Roles",
    "check_names",
    "json_schema",
    "load",
    "no_parameter",
    "plain_values",
    "resolved",
    "table_of",
    "validate",
]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a config, for editors."""
    from fitkit.config.json_schema import config_schema

    schema: dict[str, Any] = config_schema()
    return schema
