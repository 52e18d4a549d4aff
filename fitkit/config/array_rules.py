"""Rules about parameters that are arrays: which models have them, and what cannot be said of more than one number."""

from __future__ import annotations

from collections.abc import Iterator

from fitkit.config.sections import Sections
from fitkit.errors import Diagnostic
from fitkit.models import FormulaModel
from fitkit.parameters import Parameter, RandomStart


def array_rules(name: str, parameter: Parameter, sections: Sections) -> Iterator[Diagnostic]:
    """Yield what is wrong with the shape of a parameter, or with a start that is drawn at random."""
    tree, path = sections.tree, ("parameters", name)
    if parameter.shape is not None:
        yield from _array(name, parameter, sections)
    start = parameter.start
    if not isinstance(start, RandomStart):
        return
    if (start.normal is None) == (start.uniform is None):
        message = f"the start of `{name}` is drawn from {'two distributions' if start.normal else 'no distribution'}"
        yield tree.diagnostic(
            (*path, "start"), "E112", message, "write `{normal: 0.1}`, or `{uniform: 0.1}`", value=True
        )
    if parameter.shape is None and isinstance(sections.get("model"), FormulaModel):
        message = f"`{name}` is one number, and a start is drawn at random for arrays only"
        yield tree.diagnostic((*path, "start"), "E112", message, "write a number; `multistart` draws many", value=True)
    if parameter.scale == "log":
        message = f"`{name}` has `scale: log`, and a start drawn at random may be below 0"
        yield tree.diagnostic((*path, "scale"), "E112", message, "write a number above 0 as the start")


def _array(name: str, parameter: Parameter, sections: Sections) -> Iterator[Diagnostic]:
    tree, path, model = sections.tree, ("parameters", name), sections.get("model")
    if isinstance(model, FormulaModel) or tree.given("minimize"):
        message = f"`{name}` is an array, and the parameters of a formula are numbers"
        yield tree.diagnostic((*path, "shape"), "E111", message, "arrays are for python models: `kind: python`")
    for key, given in (("equals", parameter.equals), ("prior", parameter.prior)):
        if given is not None:
            message = f"`{name}` is an array, and `{key}` is for numbers"
            yield tree.diagnostic((*path, key), "E112", message, f"remove `{key}` or `shape`")
    for other, tied in sections.parameters.items():
        if tied.equals is not None and name in tied.equals.names:
            message = f"`{other}` is tied to `{name}`, which is an array"
            yield tree.diagnostic(("parameters", other, "equals"), "E112", message, "ties are formulas of numbers")
