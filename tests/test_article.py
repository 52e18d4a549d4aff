"""The two programs of an article on automatic differentiation, with their results in closed form."""

from __future__ import annotations

import pytest
from fitting import fit


def test_the_pytorch_program() -> None:
    """Losses at the start of epochs 10, 20, ..., 100, and where it ends, still far from the optimum (1, -1)."""
    printed = [
        ".375566",
        ".207273",
        ".183188",
        ".173213",
        ".164942",
        ".157178",
        ".149790",
        ".142751",
        ".136042",
        ".129648",
    ]
    found = fit("article_pytorch.yaml")
    assert found.verdict == ("completed", 0, "epochs_done")
    assert [f"{found.rows[epoch - 1].loss:.6f}".lstrip("0") for epoch in range(10, 101, 10)] == printed
    assert [f"{value:.7f}" for value in found.values] == ["0.5828062", "-0.0516303"]


def test_the_jax_program() -> None:
    """The line through the origin, not the 3/7 that a silent broadcast of (3, 1) against (3,) gives."""
    found = fit("article_jax.yaml")
    assert found.verdict[:2] == ("converged", 0)
    assert found.values == pytest.approx([4 / 7], rel=1e-12)
    assert found.result.loss is not None
    assert found.result.loss.final == pytest.approx(1 / 7, rel=1e-12)
    # One row more than needed for each free parameter: s² = (3/7) / 2 over x'x = 14.
    assert found.errors == pytest.approx([(3 / 7 / 2 / 14) ** 0.5], rel=1e-9)
