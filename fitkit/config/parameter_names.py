"""Which parameters a fit has, as far as the config alone tells, for sections that name them."""

from __future__ import annotations

from collections.abc import Collection

from fitkit.config.sections import Sections
from fitkit.config.tree import Path, Tree
from fitkit.errors import Diagnostic, did_you_mean, one_of
from fitkit.models import LinearModel, Model


def parameter_names(sections: Sections) -> tuple[str, ...] | None:
    """Return the names of all parameters, or None where they cannot be told."""
    model = sections.get("model")
    if "model" in sections.failed or (model is None and not sections.tree.given("minimize")):
        return None
    if isinstance(model, LinearModel):
        return None  # what its columns are coded to, the table tells
    own = (model.parameter_names or ()) if isinstance(model, Model) else ()
    return tuple(dict.fromkeys((*own, *sections.names("parameters"))))


def no_parameter(tree: Tree, name: str, path: Path, known: Collection[str], *, value: bool = False) -> Diagnostic:
    """Return that `name`, at the key at `path` or its value, is none of the parameters `known`."""
    way_out = did_you_mean(name, known) or (one_of(list(known)[:20]) if known else "the config has no parameters")
    return tree.diagnostic(path, "E120", f"`{name}` is no parameter", way_out, value=value)
