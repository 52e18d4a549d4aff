"""Rules of error bars, and of what runs as a batch of fits: many starts, profiles and the bootstrap."""

from __future__ import annotations

from collections.abc import Iterator

from fitkit.config.sections import Sections
from fitkit.errors import Diagnostic
from fitkit.losses import DistanceLoss, Loss
from fitkit.losses.binary_cross_entropy import BinaryCrossEntropy
from fitkit.losses.mse import MeanSquaredError
from fitkit.losses.poisson import Poisson
from fitkit.losses.residual import FormulaResidual
from fitkit.uncertainty import Bootstrap, Covariance, Profile


def uncertainty_rules(sections: Sections) -> Iterator[Diagnostic]:
    """Yield what error bars and a batch of fits cannot do with the objective of a config."""
    if sections.get("multistart") is not None:
        yield from _needs_curvature(sections, ("multistart",), "`multistart`")
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
    refused = list(_needs_curvature(sections, path, "`profile`"))
    yield from refused
    if refused or tree.given("minimize") or not isinstance(loss, Loss):
        return
    if not (loss.likelihood or isinstance(loss, MeanSquaredError | FormulaResidual)):
        message = f"`profile` needs a likelihood, and the loss `{loss.kind}` is none"
        yield tree.diagnostic(path, "E111", message, "use `bootstrap` or `covariance`", value=True)


def _bootstrap(sections: Sections) -> Iterator[Diagnostic]:
    """Refuse resamples of what is not there: rows, residuals, or a distribution."""
    loss, tree, settings = sections.get("loss"), sections.tree, sections.get("uncertainty")
    refused = list(_needs_curvature(sections, ("uncertainty", "kind"), "`bootstrap`"))
    yield from refused
    if tree.given("minimize"):
        message = "`bootstrap` draws rows, and `minimize` has none"
        yield tree.diagnostic(("uncertainty", "kind"), "E111", message, "use `profile`", value=True)
    elif isinstance(loss, Loss) and not refused:
        path = ("uncertainty", "method") if tree.given("uncertainty", "method") else ("uncertainty", "kind")
        way_out = "use `method: case`, which draws whole rows"
        if settings.method == "residual" and not isinstance(loss, DistanceLoss):
            message = f"the loss `{loss.kind}` has no residuals of its target to draw from"
            yield tree.diagnostic(path, "E111", message, way_out, value=True)
        if settings.method == "parametric" and not isinstance(loss, MeanSquaredError | Poisson | BinaryCrossEntropy):
            message = f"the loss `{loss.kind}` stands for no distribution that targets could be drawn from"
            yield tree.diagnostic(path, "E111", message, way_out, value=True)


def _needs_curvature(sections: Sections, path: tuple[str, ...], what: str) -> Iterator[Diagnostic]:
    """Refuse objectives that are not smooth: the steps of a batch are Newton's."""
    loss, penalty = sections.get("loss"), sections.get("regularization")
    way_out = "remove it, or wait for a later version"
    if isinstance(loss, Loss) and not loss.smooth and not sections.tree.given("minimize"):
        message = f"{what} with loss `{loss.kind}` is not available yet"
        yield sections.tree.diagnostic(path, "E110", message, way_out)
    if penalty is not None and penalty.l1 > 0:
        yield sections.tree.diagnostic(path, "E110", f"{what} with `l1` is not available yet", way_out)
