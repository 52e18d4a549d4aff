"""A gradient check as one JSON document, `fitkit.check_grad/1`, on one line: keys may be added, never renamed.

It holds no times, so that the same seed gives the same bytes.
"""

from __future__ import annotations

import json
import math
from typing import Any

from fitkit.gradient_check import Check
from fitkit.reports.gradient_outcome import GradientOutcome
from fitkit.reports.json_document import error_entry


def render(outcome: GradientOutcome, *, ascii_only: bool = False) -> str:
    """Return the document as one line of text; anything beyond ASCII as an escape if `ascii_only`."""
    return json.dumps(document(outcome), allow_nan=False, ensure_ascii=ascii_only)


def document(outcome: GradientOutcome) -> dict[str, Any]:
    """Return the document as maps, lists, texts and numbers; a number that does not exist is None."""
    report = outcome.report
    return {
        "schema": "fitkit.check_grad/1",
        "path": outcome.path,
        "name": outcome.name,
        "verdict": outcome.verdict,
        "exit_code": outcome.exit_code,
        "reason": outcome.reason,
        "message": outcome.message,
        "seed": outcome.seed,
        "checks": [_check(check) for check in report.checks],
        "rules": [
            {
                "file": rule.file,
                "line": rule.line,
                "name": rule.name,
                "verdict": str(rule.verdict),
                "note": rule.note,
            }
            for rule in report.rules
        ],
        "claims": {
            claim.name: {"verdict": str(claim.verdict), "expected": claim.expected, "note": claim.note}
            for claim in report.claims
        },
        "findings": [
            {"verdict": str(finding.verdict), "parameter": finding.parameter, "message": finding.message}
            for finding in report.findings
        ],
        "notes": list(report.notes),
        "errors": [error_entry(diagnostic) for diagnostic in outcome.errors],
    }


def _check(check: Check) -> dict[str, Any]:
    numbers = {
        "autodiff": check.autodiff,
        "numerical": check.numerical,
        "error_estimate": check.error_estimate,
        "tolerance": check.tolerance,
        "digits": check.digits,
        "resolvable_digits": check.resolvable_digits,
        "slope": check.slope,
        "step": check.step,
        "noise": check.noise,
        "left": check.left,
        "right": check.right,
    }
    words = {"point": check.point, "direction": check.direction, "parameter": check.parameter}
    finite = {name: float(number) if math.isfinite(number) else None for name, number in numbers.items()}
    return {**words, **finite, "verdict": str(check.verdict), "note": check.note}
