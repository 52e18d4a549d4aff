"""Rules of what runs as a batch of fits: many starts, profiles and the bootstrap."""

from __future__ import annotations

from collections.abc import Iterator

from fitkit.config.sections import Sections
from fitkit.errors import Diagnostic
from fitkit.losses import Loss


def batch_rules(sections: Sections) -> Iterator[Diagnostic]:
    """Yield what a batch of fits cannot do with the objective of a config."""
    if sections.get("multistart") is not None:
        yield from _needs_curvature(sections, ("multistart",), "`multistart`")


def _needs_curvature(sections: Sections, path: tuple[str, ...], what: str) -> Iterator[Diagnostic]:
    """Refuse objectives that are not smooth: the steps of a batch are Newton's."""
    loss, penalty = sections.get("loss"), sections.get("regularization")
    way_out = "remove it, or wait for a later version"
    if isinstance(loss, Loss) and not loss.smooth and not sections.tree.given("minimize"):
        message = f"{what} with loss `{loss.kind}` is not available yet"
        yield sections.tree.diagnostic(path, "E110", message, way_out)
    if penalty is not None and penalty.l1 > 0:
        yield sections.tree.diagnostic(path, "E110", f"{what} with `l1` is not available yet", way_out)
