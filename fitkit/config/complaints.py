"""What pydantic finds wrong with a section, as diagnostics in plain words at the place of the key or the value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from pydantic_core import ErrorDetails

from fitkit.component import Component
from fitkit.config.config import Config
from fitkit.config.kinds import SECTIONS, TOLD_APART, keys, kind_name
from fitkit.config.scalars import described
from fitkit.config.tree import MOST_TOLD, QUOTE_COMMAS, Path, Tree, child
from fitkit.errors import Diagnostic, did_you_mean, one_of
from fitkit.expectations import ExpectedMetrics, ExpectedNumber, ExpectedParameter
from fitkit.gradient_policy import CheckGrad, Claim, Domain
from fitkit.optimizers.schedules import SCHEDULES
from fitkit.parameters import Prior, RandomStart

USUAL: Final = ("adam", "sgd")
"""Optimizers to suggest where several have the keys that were given."""
_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
_TYPES: Final[Mapping[str, str]] = {
    "string_type": "a text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a map",
    "string_too_short": "one character",
    "string_too_long": "one character",
}
_MAPS: Final = (("parameters",), ("metrics",), ("metrics", "train"), ("metrics", "validation"))
"""What in `expect` is a map of names."""


def complaints(errors: Iterable[ErrorDetails], section: Path, tree: Tree) -> list[Diagnostic]:
    """Return a diagnostic for each error in the section at `section`; none for what was refused before."""
    found = []
    for error in islice(errors, MOST_TOLD):
        path = _path(error, section, tree)
        if not tree.broken(path):
            found.append(_complaint(error, path, tree))
    return found


def _path(error: ErrorDetails, section: Path, tree: Tree) -> Path:
    """Return where in the tree an error is; the names of alternatives that pydantic adds to the way are left out."""
    path = section
    for step in error["loc"]:
        node = tree.node(path)
        if node is not None and child(node, step) is not None:
            path = (*path, step)
    return path


def _complaint(error: ErrorDetails, path: Path, tree: Tree) -> Diagnostic:
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    name = called(path)
    if kind == "formula" and path == ("expect", "converged"):
        message = f"{name} must be `true`, or a share as 0.99, not {described(value)}"
        return tree.diagnostic(path, "E108", message, value=True)
    if kind == "formula":
        return tree.formula_diagnostic(path, context["error"])
    if kind == "extra_forbidden":
        return unknown_key(path, tree)
    if kind == "missing":
        key = error["loc"][-1]
        return tree.diagnostic(path, "E105", f"{name} needs `{key}`", _example(str(key)))
    if kind in {"union_tag_invalid", "union_tag_not_found", "model_attributes_type", "dataclass_type"}:
        return _alternative(path, context, value, tree)
    if kind == "literal_error":
        choices = [c.strip().strip("'") for c in str(context["expected"]).replace(" or ", ", ").split(", ")]
        message = f"{name} cannot be {described(value)}"
        guess = did_you_mean(value, choices) if isinstance(value, str) else None
        way_out = guess or ("this is version 1 of the config language" if path == ("fitkit",) else one_of(choices))
        return tree.diagnostic(path, "E107", message, way_out, value=value is not None)
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        message = f"{name} must be {words} {context[bound]:g}, not {described(value)}"
        return tree.diagnostic(path, "E109", message, value=True)
    what = context["what"] if kind == "wrong_type" else _TYPES.get(kind)
    if kind == "dict_type" and len(path) == 2 and path[0] == "parameters":
        what = "a number or a map"
    message = f"{name} must be {what}, not {described(value)}" if what else f"{name}: {error['msg']}"
    hint = "quote it, if a text is meant" if kind == "string_type" and not isinstance(value, list | dict) else None
    message, hint = _in_section(kind, path, value) or (message, hint)
    return tree.diagnostic(
        path, "E108", message.replace(", not empty", ", and is empty"), hint, value=value is not None
    )


def _in_section(kind: str, path: Path, value: Any) -> tuple[str, str | None] | None:
    """Return message and help where a section has words of its own for a value of another type."""
    name, found = called(path), described(value)
    if path[0] == "check_grad" and len(path) == 3 and kind == "dict_type":
        what = "a formula, or a map" if path[1] == "claims" else "two numbers, `[0, 10]`, or a map"
        return f"{name} must be {what}, not {found}", None
    if path[0] == "expect" and path[-1] == "within" and kind in {"string_type", "string_pattern_mismatch"}:
        return f"{name} must be a number of standard errors, not {found}", "write `within: 2sigma`"
    if path[0] == "expect" and len(path) > 1 and kind == "dict_type" and path[1:] not in _MAPS:
        return f"{name} must be a map, not {found}", "write `{min: 0, max: 1}`, or `{value: 1, rtol: 1e-6}`"
    if path[-1] in {"min", "max"} and isinstance(value, float) and math.isinf(value):
        return f"{name} must be a finite number, not {found}", f"leave `{path[-1]}` out where there is no bound"
    return None


def called(path: Path) -> str:
    """Return what messages call the value at `path`."""
    if path and isinstance(path[-1], int):
        return f"entry {path[-1] + 1} of {called(path[:-1])}"
    return f"`{'.'.join(map(str, path)) if path[:1] == ('parameters',) else path[-1]}`"


def unknown_key(path: Path, tree: Tree) -> Diagnostic:
    """Return that the config language has no key at `path`, with the key that was perhaps meant."""
    key = str(path[-1])
    if len(path) == 1:
        own, place = (*keys(Config), "extends"), ""
        elsewhere = [name for name in SECTIONS if any(key in keys(cls) for cls in SECTIONS[name])]
    else:
        cls, place = _owner(path[:-1], tree)
        own = keys(cls)
        elsewhere = [kind_name(c) for c in components_at(path[:-1]) if key in keys(c) and hasattr(c, "kind")]
    way_out = QUOTE_COMMAS if ")" in key or not key.isidentifier() else did_you_mean(key, own)
    if way_out is None and elsewhere:
        way_out = f"it is a key of {' and '.join(f'`{name}`' for name in elsewhere)}"
    return tree.diagnostic(
        path, "E104", f"unknown key `{key}`{place}", way_out or (one_of(own) if own else "it has no keys of its own")
    )


def components_at(path: Path) -> tuple[type[Component], ...]:
    """Return the components of which one stands at `path`, none where no `kind` tells them apart."""
    if path == ("optimizer", "schedule"):
        return SCHEDULES
    return SECTIONS[str(path[0])] if len(path) == 1 else ()


def _owner(path: Path, tree: Tree) -> tuple[Any, str]:
    """Return the component at `path`, and how a message names it."""
    section = str(path[0])
    components = SECTIONS[section]
    if section == "check_grad" and len(path) > 2:
        owner = {"claims": Claim, "domain": Domain}.get(str(path[1]), CheckGrad)
        return owner, f" for {'claim' if owner is Claim else 'domain'} `{path[-1]}`"
    if section == "expect" and len(path) > 1:
        owner = {"parameters": ExpectedParameter, "metrics": ExpectedMetrics}.get(str(path[1]), ExpectedNumber)
        return (owner if len(path) < 4 else ExpectedNumber), f" for `{path[-1]}`"
    if section == "parameters" and len(path) > 2:
        owner = RandomStart if path[2] == "start" else Prior
        return owner, f" in `{'.'.join(map(str, path))}`"
    if section in TOLD_APART or len(path) > 1:
        kind = str(getattr(tree.node((*path, "kind")), "value", ""))
        choices = {kind_name(cls): cls for cls in components_at(path)}
        if kind in choices:
            return choices[kind], f" for {path[-1]} `{kind}`"
    return components[0], f" for parameter `{path[-1]}`" if section == "parameters" else f" in `{section}`"


def _alternative(path: Path, context: Mapping[str, Any], value: Any, tree: Tree) -> Diagnostic:
    """Return that none of the alternatives of a union fits: a `kind` that is not there, or a value of another type."""
    kinds = [kind_name(cls) for cls in components_at(path)]
    if not kinds:
        what = " or ".join(t.strip("'") for t in str(context.get("expected_tags", "another type")).split(", "))
        return tree.diagnostic(path, "E108", f"{called(path)} must be {what}, not {described(value)}", value=True)
    section = path[-1]
    if not isinstance(value, dict):
        message = f"`{section}` must be a kind or a map, not {described(value)}".replace(
            ", not empty", ", and is empty"
        )
        return tree.diagnostic(path, "E108", message, one_of(kinds), value=value is not None)
    if "kind" not in value:
        return _without_kind(path, value, tree)
    kind = value["kind"]
    if not isinstance(kind, str):
        message = f"`kind` must be a word, not {described(kind)}".replace(", not empty", ", and is empty")
        return tree.diagnostic((*path, "kind"), "E108", message, one_of(kinds), value=kind is not None)
    guess = did_you_mean(kind, kinds)
    return tree.diagnostic(
        (*path, "kind"), "E107", f"unknown {section} {described(kind)}", guess or one_of(kinds), value=True
    )


def _listed(names: Sequence[str]) -> str:
    """Return names as a sentence lists them: `a`, `b` and `c`."""
    shown = [f"`{name}`" for name in names]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _without_kind(path: Path, value: Mapping[str, Any], tree: Tree) -> Diagnostic:
    """Return that a map needs `kind`, with the kinds that have the keys in it, or the key that none has."""
    section = path[-1]
    choices = {kind_name(cls): keys(cls) for cls in components_at(path)}
    value = {key: entry for key, entry in value.items() if not tree.broken((*path, key))}
    message = f"`{section}` needs `kind`"
    strange = next((key for key in value if not any(key in own for own in choices.values())), None)
    if strange is not None:
        every = {key for own in choices.values() for key in own}
        message = f"unknown key `{strange}` for {section}, which has no `kind` either"
        guess = did_you_mean(strange, every)
        return tree.diagnostic((*path, strange), "E104", message, guess or one_of(choices))
    fitting = [kind for kind, own in choices.items() if set(value) <= set(own)] if value else []
    if not fitting:
        return tree.diagnostic(path, "E105", message, one_of(choices))
    given, owners = " and ".join(f"`{key}`" for key in value), _listed(fitting)
    on_command_line = tree.entry((*path, next(iter(value)))).place.text.shown.startswith("--set")
    usual = next((kind for kind in USUAL if kind in fitting), fitting[0])
    write = f"--set {'.'.join(map(str, path))}.kind={usual}" if on_command_line else f"kind: {usual}"
    way_out = f"{given} {'is a key' if len(value) == 1 else 'are keys'} of {owners}: add `{write}`"
    return tree.diagnostic(path, "E105", message, way_out)


def _example(key: str) -> str | None:
    return {
        "formula": "write `formula: y ~ a * x + b`",
        "target": "name the column that is predicted: `target: y`",
        "inputs": "name the input columns: `inputs: [x]`",
        "input": "name the input column: `input: x`",
        "function": "name a file and a function: `function: models.py:damped`",
        "degree": "write the highest power: `degree: 2`",
    }.get(key)
