"""Rules about parameters: their starts, bounds and scales, their ties, and which of them the model has."""

from __future__ import annotations

from collections.abc import Iterator

from fitkit.config.array_rules import array_rules
from fitkit.config.sections import Sections
from fitkit.config.tree import MOST_TOLD
from fitkit.errors import Diagnostic, did_you_mean, one_of
from fitkit.expressions import Expression
from fitkit.losses import Loss
from fitkit.models import Model, PythonModel
from fitkit.parameters import CircularTies, Parameter, order_ties


def parameter_rules(sections: Sections) -> Iterator[Diagnostic]:
    """Yield what is wrong with the parameters that could be read."""
    own = _own_names(sections)
    for name, parameter in sections.parameters.items():
        yield from array_rules(name, parameter, sections)
        if parameter.equals is not None:
            yield from _tied(name, parameter, parameter.equals, sections)
        else:
            yield from _range(name, parameter, sections)
            yield from _start(name, parameter, sections, own)
        if parameter.prior is not None:
            yield from _prior(name, parameter, sections)
    yield from _circles(sections)
    if own is not None:
        yield from _known(sections, own)
    if isinstance(sections.get("model"), PythonModel) and not sections.tree.given("parameters"):
        message = "a python model needs `parameters`"
        yield sections.tree.diagnostic(("model",), "E105", message, "name each with its start: `parameters: {a: 1}`")


def _own_names(sections: Sections) -> tuple[str, ...] | None:
    """Return the parameters that the model defines by itself, None where the config names them or nobody knows."""
    model = sections.get("model")
    return model.parameter_names if isinstance(model, Model) and not model.all_inputs else None


def _names_itself(sections: Sections) -> bool:
    """Return whether the model defines its parameters, though only the table may tell which."""
    model = sections.get("model")
    return isinstance(model, Model) and model.all_inputs and model.parameter_names is not None


def _range(name: str, parameter: Parameter, sections: Sections) -> Iterator[Diagnostic]:
    tree, path = sections.tree, ("parameters", name)
    low, high, start = parameter.min, parameter.max, parameter.start
    start = start if isinstance(start, float) else None
    if low is not None and high is not None and low >= high:
        message = f"`{name}` has `min` {low:g} and `max` {high:g}: nothing lies between them"
        yield tree.diagnostic((*path, "min"), "E112", message, f"to hold it there: `{{start: {low:g}, fixed: true}}`")
    elif start is not None and low is not None and start < low:
        yield tree.diagnostic(
            (*path, "start"), "E112", f"`{name}` starts at {start:g}, below its `min` {low:g}", value=True
        )
    elif start is not None and high is not None and start > high:
        yield tree.diagnostic(
            (*path, "start"), "E112", f"`{name}` starts at {start:g}, above its `max` {high:g}", value=True
        )
    if parameter.scale == "log":
        for key, bad, rule in (
            ("start", start is not None and start <= 0, "above 0"),
            ("min", low is not None and low < 0, "0 or above"),
            ("max", high is not None and high <= 0, "above 0"),
        ):
            if bad:
                message = f"`scale: log` needs a `{key}` {rule}, not {getattr(parameter, key):g}"
                yield tree.diagnostic((*path, key), "E112", message, "use `scale: linear`", value=True)


def _start(name: str, parameter: Parameter, sections: Sections, own: tuple[str, ...] | None) -> Iterator[Diagnostic]:
    if parameter.start is not None:
        return
    path = ("parameters", name)
    if parameter.fixed:
        message = f"`{name}` is fixed, and has no `start` to be held at"
        yield sections.tree.diagnostic((*path, "fixed"), "E112", message, f"write `{name}: {{start: 1, fixed: true}}`")
    elif parameter.scale == "log" and own is not None and (parameter.min is None or parameter.min <= 0):
        message = f"`{name}` needs a `start` above 0: it would begin at 0, which has no logarithm"
        yield sections.tree.diagnostic((*path, "scale"), "E112", message)
    elif own is None and "model" not in sections.failed and not _names_itself(sections):
        yield sections.tree.diagnostic(
            path, "E112", f"`{name}` needs a `start`", f"write `{name}: 1`, or a better guess"
        )


def _prior(name: str, parameter: Parameter, sections: Sections) -> Iterator[Diagnostic]:
    """Refuse a prior that would say nothing: of what does not move, or without a scale to weigh it against the data."""
    tree, path = sections.tree, ("parameters", name, "prior")
    data, loss = sections.get("data"), sections.get("loss")
    if parameter.fixed:
        message = f"`{name}` is fixed, and a prior says nothing of it"
        yield tree.diagnostic(path, "E112", message, "remove `prior`, or `fixed`")
    elif tree.given("minimize"):
        message = "a prior needs data to be weighed against, and `minimize` has none"
        way_out = "add the term to the objective: `((a - 1) / 0.1)**2 / 2`"
        yield tree.diagnostic(path, "E111", message, way_out)
    elif isinstance(loss, Loss) and not loss.likelihood and data is not None and data.sigma is None:
        message = f"a prior needs `data.sigma`: nothing says how much a misfit under `{loss.kind}` weighs against it"
        yield tree.diagnostic(path, "E111", message, "give `data.sigma`, or take a likelihood loss")


def _tied(name: str, parameter: Parameter, equals: Expression, sections: Sections) -> Iterator[Diagnostic]:
    tree, path = sections.tree, ("parameters", name)
    for key, default in (("start", None), ("min", None), ("max", None), ("fixed", False), ("scale", "linear")):
        if getattr(parameter, key) != default:
            message = f"`{key}` and `equals` exclude each other: a tied parameter is computed"
            yield tree.diagnostic((*path, key), "E111", message, f"remove `{key}` or `equals`")
    known = {*sections.names("parameters"), *(_own_names(sections) or ())}
    for other in sorted(equals.names - known - {"pi"}):
        message = f"`{other}` is not a parameter: ties are formulas of parameters"
        guess = did_you_mean(other, known) if len(known) < MOST_TOLD else None
        yield tree.word_diagnostic((*path, "equals"), other, "E120", message, guess or "add it to `parameters`")
    for comparison in equals.text_comparisons:
        message = f"`{comparison.column}` is compared with a text, and parameters are numbers"
        yield tree.word_diagnostic((*path, "equals"), comparison.column, "E120", message)


def _circles(sections: Sections) -> Iterator[Diagnostic]:
    ties = {name: p.equals for name, p in sections.parameters.items() if p.equals is not None}
    try:
        order_ties(ties)
    except CircularTies as circle:
        names = circle.names
        message = f"`{names[0]}` is tied to itself"
        if len(names) > 1:
            message = f"parameters are tied in a circle: {' -> '.join((*names, names[0]))}"
        yield sections.tree.diagnostic(("parameters", names[0], "equals"), "E112", message, "let one of them be free")


def _known(sections: Sections, own: tuple[str, ...]) -> Iterator[Diagnostic]:
    """Refuse parameters that a model with parameters of its own does not have, and nothing else uses."""
    loss = sections.get("loss")
    used = set(own) | (loss.names if loss is not None else set())
    for constraint in sections.get("constraints") or ():
        used |= constraint.names
    for parameter in sections.parameters.values():
        if parameter.equals is not None:
            used |= parameter.equals.names
    for name, parameter in sections.parameters.items():
        if "=" in name or "[" in name:
            continue  # of a coded input or a class, which only the table tells
        if name not in used and parameter.equals is None and loss is not None:
            message = f"the model has no parameter `{name}`"
            way_out = did_you_mean(name, own) or one_of(own[:20])
            yield sections.tree.diagnostic(("parameters", name), "E120", message, way_out)
