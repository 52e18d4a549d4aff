"""Rules of error bars: covariances, profiles and the bootstrap."""

from __future__ import annotations

from collections.abc import Iterator

from fitkit.config.sections import Sections
from fitkit.errors import Diagnostic
from fitkit.losses import DistanceLoss, KinkedLoss, Loss
from fitkit.losses.binary_cross_entropy import BinaryCrossEntropy
from fitkit.losses.mse import MeanSquaredError
from fitkit.losses.poisson import Poisson
from fitkit.losses.residual import FormulaResidual
from fitkit.uncertainty import Bootstrap, Covariance, Profile


def uncertainty_rules(sections: Sections) -> Iterator[Diagnostic]:
    """Yield what error bars cannot be had with the objective of a config."""
    if isinstance(sections.get("uncertainty"), Covariance):
        yield from _covariance(sections)
    if isinstance(sections.get("uncertainty"), Profile):
        yield from _profile(sections)
    if isinstance(sections.get("uncertainty"), Bootstrap):
        yield from _bootstrap(sections)


def _covariance(sections: Sections) -> Iterator[Diagnostic]:
    """Refuse what would be asked for and not be done: no Gauss-Newton without squares, nothing of a pure objective."""
    loss, tree, settings = sections.get("loss"), sections.tree, sections.get("uncertainty")
    for key in ("hessian", "sandwich"):
        if tree.given("minimize") and getattr(settings, key) != "auto":
            message = f"`{key}` is about standard errors, and `minimize` has none without observations"
            yield tree.diagnostic(("uncertainty", key), "E111", message, "remove it, or use `profile`")
    squares = isinstance(loss, MeanSquaredError | FormulaResidual)
    if settings.hessian == "gauss_newton" and isinstance(loss, Loss) and not squares and not tree.given("minimize"):
        message = f"`gauss_newton` is for squared residuals, and the loss `{loss.kind}` is none"
        yield tree.diagnostic(("uncertainty", "hessian"), "E111", message, "use `hessian: exact`", value=True)


def _profile(sections: Sections) -> Iterator[Diagnostic]:
    """Refuse profiles of what is no likelihood: nothing says there how high a profile may rise."""
    loss, tree = sections.get("loss"), sections.tree
    path = ("uncertainty", "kind")
    penalty = sections.get("regularization")
    if penalty is not None and penalty.l1 > 0:
        message = "`profile` needs a likelihood, and the penalty `l1` moves and pins what it is the likelihood of"
        yield tree.diagnostic(path, "E111", message, "use `bootstrap`", value=True)
    if tree.given("minimize") or not isinstance(loss, Loss):
        return
    if not (loss.likelihood or isinstance(loss, MeanSquaredError | FormulaResidual)):
        message = f"`profile` needs a likelihood, and the loss `{loss.kind}` is none"
        way_out = "use `bootstrap` or `covariance`" if loss.smooth else "use `bootstrap`"
        yield tree.diagnostic(path, "E111", message, way_out, value=True)


def _bootstrap(sections: Sections) -> Iterator[Diagnostic]:
    """Refuse resamples of what is not there: rows, residuals, or a distribution."""
    loss, tree, settings = sections.get("loss"), sections.tree, sections.get("uncertainty")
    if tree.given("minimize"):
        message = "`bootstrap` draws rows, and `minimize` has none"
        yield tree.diagnostic(("uncertainty", "kind"), "E111", message, "use `profile`", value=True)
    elif isinstance(loss, Loss):
        path = ("uncertainty", "method") if tree.given("uncertainty", "method") else ("uncertainty", "kind")
        way_out = "use `method: case`, which draws whole rows"
        if settings.method == "residual" and not isinstance(loss, DistanceLoss | KinkedLoss):
            message = f"the loss `{loss.kind}` has no residuals of its target to draw from"
            yield tree.diagnostic(path, "E111", message, way_out, value=True)
        if settings.method == "parametric" and not isinstance(loss, MeanSquaredError | Poisson | BinaryCrossEntropy):
            message = f"the loss `{loss.kind}` stands for no distribution that targets could be drawn from"
            yield tree.diagnostic(path, "E111", message, way_out, value=True)
