"""The types of the components as pydantic's validators, built from their annotations when first needed.

The components are plain dataclasses without a word about pydantic. Their annotations are translated to pydantic's
core schema here rather than by `TypeAdapter`, for two reasons: a number may be written as a constant expression and a
formula is parsed with the config's definitions, while everything else is strict; and `TypeAdapter` costs 0.05 s to
load, half of what `fitkit validate` may take for itself.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, is_dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Len, Lt
from pydantic_core import SchemaValidator, core_schema

from fitkit.component import Component, resolved_hints
from fitkit.config.config import Config
from fitkit.config.kinds import CHOICES, given_fields, kind_name
from fitkit.config.scalars import constraint, equation, expression, number, whole_number
from fitkit.expressions import Constraint, Equation, Expression
from fitkit.types import ColumnName, Pattern

Schema = core_schema.CoreSchema
_BOUNDS: Final[dict[type, str]] = {Ge: "ge", Gt: "gt", Le: "le", Lt: "lt"}
TAGS: Final[Mapping[Any, str]] = {
    str: "a text",
    float: "a number",
    int: "a whole number",
    list: "a list",
    tuple: "a list",
    dict: "a map",
    bool: "true or false",
}
"""What the alternatives of a union are called."""
A_COLUMN: Final = "a column"


@cache
def validator(section: str) -> SchemaValidator:
    """Return the validator of a section of the config, by its key.

    That of `parameters` and `definitions` is the validator of one entry.
    """
    hint = resolved_hints(Config)[section]
    if section in {"parameters", "definitions"}:
        hint = get_args(hint)[1]
    return SchemaValidator(_schema(hint))


def _schema(hint: Any) -> Schema:
    """Return the core schema of an annotation."""
    bounds: dict[str, Any] = {}
    if get_origin(hint) is Annotated:
        hint, *annotations = get_args(hint)
        for a in annotations:
            if isinstance(a, Len):
                bounds |= {"min_length": a.min_length, "max_length": a.max_length}
            elif isinstance(a, Pattern):
                bounds["pattern"] = a.regex
            elif type(a) in _BOUNDS:
                bounds[_BOUNDS[type(a)]] = getattr(a, _BOUNDS[type(a)])
    if get_origin(hint) in (Union, types.UnionType) or hint in CHOICES:
        return _union(hint)
    if get_origin(hint) is not None:
        return _container(get_origin(hint), get_args(hint))
    if isinstance(hint, type) and is_dataclass(hint) and issubclass(hint, Component):
        return _component(hint)
    return _leaf(hint, bounds)


def _leaf(hint: Any, bounds: dict[str, Any]) -> Schema:
    if hint is float:
        schema = core_schema.float_schema(strict=True, allow_inf_nan=False, **bounds)
        return core_schema.no_info_before_validator_function(number, schema)
    if hint is int:
        return core_schema.no_info_before_validator_function(
            whole_number, core_schema.int_schema(strict=True, **bounds)
        )
    if hint is str:
        return core_schema.str_schema(strict=True, **bounds)
    if hint is ColumnName:
        return core_schema.no_info_after_validator_function(ColumnName, core_schema.str_schema(strict=True))
    if hint is bool:
        return core_schema.bool_schema(strict=True)
    if hint is Any:
        return core_schema.any_schema()
    if hint is Expression:
        return core_schema.with_info_plain_validator_function(expression)
    if hint is Constraint:
        return core_schema.with_info_plain_validator_function(constraint)
    if hint is Equation:
        return core_schema.with_info_plain_validator_function(equation)
    raise TypeError(f"a component has a field of type {hint}, which configs cannot express yet")


def _container(origin: Any, arguments: tuple[Any, ...]) -> Schema:
    if origin is Literal:
        words = core_schema.literal_schema(list(arguments))
        counted = isinstance(arguments[0], int)  # true equals 1 in Python
        return core_schema.no_info_before_validator_function(whole_number, words) if counted else words
    if origin is list:
        return core_schema.list_schema(_schema(arguments[0]), strict=True)
    if origin is tuple:
        items = core_schema.list_schema(_schema(arguments[0]), strict=True)
        return core_schema.no_info_after_validator_function(tuple, items)
    return core_schema.dict_schema(core_schema.str_schema(), _schema(arguments[1]))


def _union(hint: Any) -> Schema:
    """Return the schema of alternatives: components by `kind`, other types by what the value is."""
    members = [m for m in get_args(hint) if m is not type(None)] or [hint]
    components = [c for m in members for c in CHOICES.get(m, ())]
    if components:
        choices: dict[Any, Schema] = {kind_name(c): _component(c) for c in components}
        schema: Schema = core_schema.tagged_union_schema(choices, "kind")
    elif len(members) == 1:
        schema = _schema(members[0])
    else:
        choices = {tag_of(m): _schema(m) for m in members}
        schema = core_schema.tagged_union_schema(choices, _tagging(frozenset(choices)))
    return core_schema.nullable_schema(schema) if type(None) in get_args(hint) else schema


def tag_of(member: Any) -> str:
    """Return what an alternative of a union is called; a component is a map."""
    member = get_args(member)[0] if get_origin(member) is Annotated else member
    if member is ColumnName:
        return A_COLUMN
    return TAGS[dict if isinstance(member, type) and issubclass(member, Component) else get_origin(member) or member]


def _tagging(choices: frozenset[str]) -> Callable[[Any], str | None]:
    """Return what tells texts from numbers: where no text can stand, one is a number written as a constant expression.

    Where a number or a column can stand, a lone name is a column.
    """

    def tag(value: Any) -> str | None:
        if isinstance(value, str) and TAGS[str] not in choices:
            return A_COLUMN if A_COLUMN in choices and value.isidentifier() and value != "pi" else TAGS[float]
        return _tag(value)

    return tag


def _tag(value: Any) -> str | None:
    """Return which alternative of a union a value belongs to; no union here has both kinds of numbers."""
    if isinstance(value, bool):
        return TAGS[bool]
    return TAGS.get(float if isinstance(value, int) else type(value))


def _component(cls: type[Component]) -> Schema:
    hints = resolved_hints(cls)
    entries = {}
    for f in given_fields(cls):
        required = f.default is MISSING and f.default_factory is MISSING
        entries[f.name] = core_schema.typed_dict_field(_schema(hints[f.name]), required=required)
    keys = core_schema.typed_dict_schema(entries, extra_behavior="forbid")
    return core_schema.no_info_after_validator_function(lambda values: cls(**values), keys)
