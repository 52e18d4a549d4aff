"""What changed between two runs or batches as one JSON document, `fitkit.comparison/1`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from fitkit.comparison.changes import Comparison, FitChanges, NumberChange


def render(comparison: Comparison, *, ascii_only: bool = False) -> str:
    """Return the document as text."""
    document = {
        "schema": "fitkit.comparison/1",
        "before": comparison.before,
        "after": comparison.after,
        "fits": [_fit(changes) for changes in comparison.fits],
        "new": list(comparison.new),
        "gone": list(comparison.gone),
    }
    return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=ascii_only)


def _fit(changes: FitChanges) -> dict[str, Any]:
    return {
        "name": changes.name,
        "unchanged": changes.unchanged,
        "same_data": changes.same_data,
        "status": {"before": changes.status[0], "after": changes.status[1]},
        "loss": _number(changes.loss),
        "parameters": {name: _number(number) for name, number in changes.parameters.items()},
        "groups": dict(zip(("before", "after"), changes.groups, strict=True)),
        "config": [asdict(replacement) for replacement in changes.config],
        "provenance": [asdict(replacement) for replacement in changes.provenance],
    }


def _number(number: NumberChange) -> dict[str, Any]:
    return {
        "before": None if number.before is None else asdict(number.before),
        "after": None if number.after is None else asdict(number.after),
        "change": number.change,
        "relative": number.relative,
        "standard_errors": number.standard_errors,
    }
