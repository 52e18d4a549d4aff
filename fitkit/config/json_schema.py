"""The JSON Schema of a config, from the same annotations and docstrings as everything else, for editors."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, is_dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Len, Lt

from fitkit.component import Component, documentation, field_documentation, resolved_hints
from fitkit.config.config import Config
from fitkit.config.kinds import CHOICES, given_fields, kind_name
from fitkit.expectations import Expect, ExpectedMetrics
from fitkit.expressions import Constraint, Equation, Expression
from fitkit.gradient_policy import CheckGrad, Claim, Domain
from fitkit.optimizers.schedules import Schedule
from fitkit.parameters import Parameter
from fitkit.types import ColumnName, Pattern

Json = dict[str, Any]
_KEYWORDS: Final[dict[type, tuple[str, str]]] = {
    Ge: ("minimum", "ge"),
    Gt: ("exclusiveMinimum", "gt"),
    Le: ("maximum", "le"),
    Lt: ("exclusiveMaximum", "lt"),
}
_FORMULA: Final = {"type": ["string", "number"], "description": "A formula."}
_CONSTRAINT: Final = {"type": "string", "description": "A constraint: `a + b <= 10`, `a >= b`, `a * b == 1`."}
_CONSTANT: Final = {"type": "string", "description": "A constant expression, such as log(0.35) or 1/3."}
_BARE: Final[Mapping[type, Json]] = {
    Parameter: {"type": ["number", "string"], "description": "The start."},
    Claim: {"type": ["string", "number"], "description": "The derivative, a formula."},
    Domain: {"type": "array", "minItems": 2, "maxItems": 2, "description": "From where to where: [0, 10]."},
}
"""What may stand for the map of a part of a section."""


@cache
def config_schema() -> Json:
    """Return the schema, draft 2020-12, self-contained."""
    body = _component(Config)
    body["properties"]["extends"] = {"type": "string", "description": "A config that this one is put on top of."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fitkit config",
        **body,
        "$defs": {cls.__name__: _component(cls) for cls in _named()},
    }


def _named() -> tuple[type[Component], ...]:
    chosen = dict.fromkeys(cls for components in CHOICES.values() for cls in components)
    sections = [m for hint in resolved_hints(Config).values() for m in (hint, *get_args(hint)) if _is_component(m)]
    owners = (Parameter, CheckGrad, Expect, ExpectedMetrics)
    parts = [m for o in owners for hint in resolved_hints(o).values() for m in get_args(hint) if _is_component(m)]
    return (*chosen, *(m for m in (*sections, *parts) if m not in chosen))


def _is_component(hint: Any) -> bool:
    return isinstance(hint, type) and is_dataclass(hint) and issubclass(hint, Component)


def _component(cls: type[Component]) -> Json:
    """Return the schema of a component's map, with its docstrings as descriptions."""
    hints, texts = resolved_hints(cls), field_documentation(cls)
    properties: Json = {}
    for f in given_fields(cls):
        entry = _short_forms(f.name, _schema(hints[f.name])) if cls is Config else _schema(hints[f.name])
        if f.name == "kind":
            entry = {"const": f.default}
        if hints[f.name] is Schedule:
            names = {"enum": [kind_name(c) for c in CHOICES[Schedule]], "description": "The kind."}
            entry = _any_of(names, entry)
        if cls is CheckGrad and f.name == "allow_stop_gradient":
            entry = _any_of({"type": "string", "description": "One parameter."}, entry)
        text = texts.get(f.name)
        properties[f.name] = {**entry, **({"description": text} if text else {}), **_default(f)}
    required = [f.name for f in given_fields(cls) if f.default is MISSING and f.default_factory is MISSING]
    if "kind" in properties and kind_name(cls) not in {"formula", "covariance"}:
        required.insert(0, "kind")  # the kinds that a key gives away may leave it out
    return {
        "type": "object",
        "description": documentation(cls),
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _default(field: Any) -> Json:
    default = field.default
    return {"default": default} if isinstance(default, str | int | float | bool) and field.name != "kind" else {}


def _short_forms(section: str, schema: Json) -> Json:
    """Return the schema of a section of the config with its short forms beside it."""
    kinds = [kind_name(c) for h in _members(resolved_hints(Config)[section]) for c in CHOICES.get(h, ())]
    if section in {"data", "model"}:
        what = "The path of the table." if section == "data" else "A formula: `y ~ a * x + b`."
        return _any_of({"type": "string", "description": what}, schema)
    if kinds:
        texts = [
            f"`{kind_name(c)}`: {documentation(c)}"
            for h in _members(resolved_hints(Config)[section])
            for c in CHOICES[h]
        ]
        return _any_of({"enum": kinds, "description": "\n".join(texts)}, schema)
    return schema


def _any_of(*alternatives: Json) -> Json:
    flat: list[Json] = []
    for alternative in alternatives:
        flat += alternative["anyOf"] if set(alternative) == {"anyOf"} else [alternative]
    return {"anyOf": flat} if len(flat) > 1 else flat[0]


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _schema(hint: Any) -> Json:
    """Return the schema of an annotation."""
    bounds: Json = {}
    if get_origin(hint) is Annotated:
        hint, *annotations = get_args(hint)
        for a in annotations:
            if isinstance(a, Len):
                bounds |= {"minLength": a.min_length, "maxLength": a.max_length}
            elif isinstance(a, Pattern):
                bounds["pattern"] = a.regex
            elif type(a) in _KEYWORDS:
                keyword, attribute = _KEYWORDS[type(a)]
                bounds[keyword] = getattr(a, attribute)
    if hint in CHOICES:
        return _any_of(*({"$ref": f"#/$defs/{cls.__name__}"} for cls in CHOICES[hint]))
    if _is_component(hint):
        reference = {"$ref": f"#/$defs/{hint.__name__}"}
        return _any_of(_BARE[hint], reference) if hint in _BARE else reference
    members = _members(hint)
    if len(members) > 1:
        return _any_of(*(_leaf(m, bounds, constants=str not in members) for m in members))
    return _leaf(hint, bounds, constants=True)


def _leaf(hint: Any, bounds: Json, *, constants: bool) -> Json:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in (float, int):
        number = {"type": "number" if hint is float else "integer", **bounds}
        return _any_of(number, _CONSTANT) if constants else number
    if hint is Any:
        return {}
    if hint in (Expression, Equation):
        return dict(_FORMULA)
    if hint is Constraint:
        return dict(_CONSTRAINT)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (list, tuple):
        return {"type": "array", "items": _schema(arguments[0])}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    if origin is not None or hint in CHOICES or _is_component(hint):
        return _schema(hint)
    if hint is ColumnName:
        return {"type": "string", "description": "With `group_by`: the column that has each group's."}
    return {"type": {str: "string", bool: "boolean", type(None): "null"}[hint], **bounds}
