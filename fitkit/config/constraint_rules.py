"""Rules about constraints: which of them say something, and what cannot be had together with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fitkit.config.sections import Sections
from fitkit.errors import Diagnostic
from fitkit.expressions import Constraint
from fitkit.losses import Loss
from fitkit.optimizers.first_order import FirstOrder
from fitkit.parameters import Parameter
from fitkit.uncertainty import Bootstrap, Profile


def constraint_rules(sections: Sections) -> Iterator[Diagnostic]:
    """Yield what is wrong with the constraints, and between them and other sections."""
    constraints = sections.get("constraints")
    if not constraints:
        return
    yield from _idle(constraints, sections)
    yield from _arrays(constraints, sections)
    yield from _objective(sections)
    yield from _searches(sections)


def _idle(constraints: tuple[Constraint, ...], sections: Sections) -> Iterator[Diagnostic]:
    """Refuse constraints of which nothing can move a side."""
    for index, constraint in enumerate(constraints):
        names = _leaves(constraint.names - {"pi"}, sections.parameters)
        known = [name for name in names if name in sections.parameters]
        if known and len(known) == len(names) and all(sections.parameters[name].fixed for name in known):
            message = "every parameter of this constraint is fixed: it holds, or it does not, whatever is fitted"
            way_out = "remove it, or let one of them be free"
            yield sections.tree.diagnostic(("constraints", index), "E112", message, way_out, value=True)


def _arrays(constraints: tuple[Constraint, ...], sections: Sections) -> Iterator[Diagnostic]:
    """Refuse constraints on arrays: a constraint is about numbers."""
    arrays = {name for name, parameter in sections.parameters.items() if parameter.shape is not None}
    for index, constraint in enumerate(constraints):
        for name in sorted(_leaves(constraint.names - {"pi"}, sections.parameters) & arrays):
            message = f"`{name}` is an array, and constraints are about numbers"
            yield sections.tree.word_diagnostic(("constraints", index), name, "E122", message, "remove it")


def _leaves(names: frozenset[str], parameters: Mapping[str, Parameter]) -> set[str]:
    """Return the names with tied parameters replaced by those they are tied to."""
    found, seen, waiting = set[str](), set[str](), list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        parameter = parameters.get(name)
        if parameter is not None and parameter.equals is not None:
            waiting += parameter.equals.names - {"pi"}
        else:
            found.add(name)
    return found


def _objective(sections: Sections) -> Iterator[Diagnostic]:
    """Refuse objectives with kinks and numbers of single precision: constraints are met by second derivatives."""
    tree, loss, penalty = sections.tree, sections.get("loss"), sections.get("regularization")
    path, needs = ("constraints",), "`constraints` need a smooth objective"
    if isinstance(loss, Loss) and not loss.smooth and not tree.given("minimize"):
        message = f"{needs}, and the loss `{loss.kind}` has kinks"
        yield tree.diagnostic(path, "E111", message, "use a smooth loss: `huber`, `soft_l1` or `mse`")
    if penalty is not None and penalty.l1 > 0:
        yield tree.diagnostic(path, "E111", f"{needs}, and the penalty `l1` has kinks", "use `l2`")
    if sections.get("precision") == "float32":
        message = "`constraints` are met to the rounding of float64, and `precision` is float32"
        yield tree.diagnostic(("precision",), "E111", message, "remove `precision`", value=True)


def _searches(sections: Sections) -> Iterator[Diagnostic]:
    """Refuse searches that know nothing of constraints."""
    tree, optimizer, uncertainty = sections.tree, sections.get("optimizer"), sections.get("uncertainty")
    stopping = sections.get("stopping")
    if stopping is not None and stopping.patience is not None:
        message = "`patience` waits for a lower loss, and on the way to `constraints` the loss may rise"
        yield tree.diagnostic(("stopping", "patience"), "E111", message, "remove `patience`")
    if isinstance(optimizer, FirstOrder):
        message = f"`{optimizer.kind}` cannot keep `constraints`: a first-order step knows no curvature to meet them by"
        yield tree.diagnostic(
            ("optimizer", "kind"), "E111", message, "use `auto`, `lm`, `newton` or `lbfgs`", value=True
        )
    if isinstance(uncertainty, Profile | Bootstrap):
        message = f"`{uncertainty.kind}` knows nothing of `constraints`"
        way_out = "use `covariance`, whose errors are along the constraints"
        yield tree.diagnostic(("uncertainty", "kind"), "E111", message, way_out, value=True)
