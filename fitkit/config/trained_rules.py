"""Rules about models that are trained: what cannot be asked of many weights that are determined together only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from fitkit.config.sections import Sections
from fitkit.errors import Diagnostic
from fitkit.losses.cross_entropy import CrossEntropy
from fitkit.models import MatrixFactorization, Model
from fitkit.optimizers import Automatic
from fitkit.optimizers.first_order import FirstOrder
from fitkit.parameters import Parameter
from fitkit.uncertainty import Bootstrap, Profile

SAYABLE = {"kind", "start", "fixed"}
"""What can be said of the parameters of such a model."""


def trained_rules(sections: Sections) -> Iterator[Diagnostic]:
    """Yield what is asked of a model that is trained and cannot be done."""
    model, tree = sections.get("model"), sections.tree
    if not isinstance(model, Model) or not model.trained:
        return
    for key in ("constraints", "multistart"):
        if sections.get(key):
            message = f"`{key}` cannot be had of the model `{model.kind}`, whose weights are determined together only"
            yield tree.diagnostic((key,), "E111", message, f"remove `{key}`")
    loss = sections.get("loss")
    if isinstance(model, MatrixFactorization) and isinstance(loss, CrossEntropy):
        message = "`matrix_factorization` predicts one number per row, and `cross_entropy` takes one for each class"
        way_out = "take `mse` for ratings, or `binary_cross_entropy` for two classes"
        yield tree.diagnostic(("loss", "kind"), "E111", message, way_out, value=True)
    uncertainty = sections.get("uncertainty")
    if isinstance(uncertainty, Profile | Bootstrap):
        message = f"the model `{model.kind}` has no error bars: its weights are not determined one by one"
        way_out = "remove `uncertainty`, and hold rows out by `data.validation`"
        yield tree.diagnostic(("uncertainty", "kind"), "E111", message, way_out, value=True)
    optimizer = sections.get("optimizer")
    if model.noisy and not isinstance(optimizer, FirstOrder | Automatic | None):
        message = f"`{optimizer.kind}` takes the objective for a fixed function, and with `dropout` it is not"
        way_out = "use `adam`, `sgd` or their kin, or remove `dropout`"
        yield tree.diagnostic(("optimizer", "kind"), "E111", message, way_out, value=True)
    yield from _parameters(sections, model)


def _parameters(sections: Sections, model: Model) -> Iterator[Diagnostic]:
    """Refuse what can be said of one number only."""
    own = frozenset(model.parameter_names or ())
    for name, parameter in sections.parameters.items():
        if name not in own and parameter.equals is None:
            continue
        for f in fields(Parameter):
            if f.name not in SAYABLE and getattr(parameter, f.name) != f.default:
                message = f"of the weights of the model `{model.kind}` only `start` and `fixed` can be said"
                yield sections.tree.diagnostic(("parameters", name, f.name), "E111", message, f"remove `{f.name}`")
