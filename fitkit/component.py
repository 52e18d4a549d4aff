"""What a component is: a frozen, keyword-only dataclass whose fields are its YAML.

Models, losses, optimizers and the sections of a config are components. A component's class docstring is its
documentation, the string under each field is that field's, and both are what `fitkit list`, the JSON Schema and the
README's tables show; nothing about a component is written down twice.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from itertools import pairwise
from typing import Any, ClassVar, final, get_type_hints


class Component:
    """Abstract: the root of everything that a config can name by `kind`."""

    kind: str
    summary: ClassVar[str] = ""


@final
@dataclass(frozen=True, kw_only=True)
class FieldDescription:
    """One key of a component: its name, its type as a person reads it, its default and its documentation."""

    name: str
    type: str
    default: str
    documentation: str


def documentation(cls: type) -> str:
    """Return the first paragraph of a class's docstring as one line."""
    text = (cls.__doc__ or "").strip().split("\n\n")[0]
    return " ".join(text.split())


def field_documentation(cls: type) -> dict[str, str]:
    """Return the docstring under each field of a dataclass, by field name, those of its bases included.

    A string literal that follows an annotated assignment is its documentation (PEP 257, attribute docstrings); Python
    does not keep it, so it is read from the source, which only `list` and `schema` ask for.
    """
    import ast
    import inspect
    import textwrap

    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base is object or not hasattr(base, "__dataclass_fields__"):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for statement, following in pairwise(body):
            if (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
                and isinstance(following.value.value, str)
            ):
                found[statement.target.id] = " ".join(following.value.value.split())
    return found


def describe_fields(cls: type[Any]) -> tuple[FieldDescription, ...]:
    """Return the keys a config may give for the component `cls`, without `kind`."""
    texts = field_documentation(cls)
    annotations = {
        name: annotation
        for base in reversed(cls.__mro__)
        for name, annotation in vars(base).get("__annotations__", {}).items()
    }
    described = []
    for f in fields(cls):
        if f.name == "kind" or not f.init:
            continue
        required = f.default is MISSING and f.default_factory is MISSING
        default = "required" if required else repr(f.default) if f.default is not MISSING else "empty"
        described.append(
            FieldDescription(
                name=f.name,
                type=str(annotations.get(f.name, "")),
                default={"None": "none", "True": "true", "False": "false"}.get(default, default),
                documentation=texts.get(f.name, ""),
            )
        )
    return tuple(described)


def resolved_hints(cls: type) -> dict[str, Any]:
    """Return a dataclass's field types with annotations such as bounds kept."""
    return get_type_hints(cls, include_extras=True)
