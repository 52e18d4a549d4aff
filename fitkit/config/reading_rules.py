"""Rules about what can be asked of a table: keys that its format has, and conditions that are conditions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import PurePath
from typing import Final

from fitkit.config.sections import Sections
from fitkit.errors import Diagnostic
from fitkit.expressions import ExpressionError, parse
from fitkit.expressions.problems import TEXT
from fitkit.expressions.tree import Call, Choice, Negative, Node, Number, Power, Product, Sum
from fitkit.readers.data import Data
from fitkit.readers.source import BINARY_FORMATS

_OF_TEXT: Final = frozenset({"delimiter", "decimal", "comment", "skip"})


def reading_rules(sections: Sections) -> Iterator[Diagnostic]:
    """Yield what is wrong with how `data` asks for its table to be read."""
    data = sections.get("data")
    if data is None:
        return
    yield from _of_text_only(sections, data)
    if "where" in sections.failed or data.where is None:
        return
    try:
        condition = parse(data.where, sections.definitions)
    except ExpressionError:
        return  # told where it was read
    if not _is_condition(condition.root):
        message = f"`{data.where.strip()}` is a number, and `where` needs a condition"
        yield sections.tree.formula_diagnostic(
            ("data", "where"),
            ExpressionError(
                message, text=data.where, offset=0, length=len(data.where), help="compare it: `x > 1`", code=TEXT
            ),
        )


def _of_text_only(sections: Sections, data: Data) -> Iterator[Diagnostic]:
    suffix = PurePath(data.path or "").suffix.lower()
    if suffix not in BINARY_FORMATS:
        return
    for f in fields(Data):
        if f.name in _OF_TEXT and getattr(data, f.name) != f.default:
            message = f"`{f.name}` says how text is read, and a {suffix} file is none"
            yield sections.tree.diagnostic(("data", f.name), "E111", message, f"remove `{f.name}`")


def _is_condition(root: Node) -> bool:
    """Return whether a tree is true or false; a bare column may be one of zeros and ones, and so may a folded constant."""
    if isinstance(root, Choice):
        return _is_condition(root.yes) and _is_condition(root.no)
    if isinstance(root, Number):
        return root.value in (0.0, 1.0)
    return not isinstance(root, Sum | Product | Negative | Power | Call)
