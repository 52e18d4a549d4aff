"""The same as one JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fitkit import __version__
from fitkit.certification.certify import CertifiedRun

SCHEMA = "fitkit.certify/1"


def document(runs: Sequence[CertifiedRun], exit_code: int) -> dict[str, Any]:
    """Return all runs with what was asked of them; digits that do not exist are None."""
    short = sum(bool(run.short) for run in runs)
    return {
        "schema": SCHEMA,
        "passed": short == 0,
        "exit_code": exit_code,
        "message": f"{len(runs) - short} of {len(runs)} runs have the digits asked for",
        "runs": [_entry(run) for run in runs],
        "provenance": {"fitkit": __version__, "data": "NIST StRD"},
    }


def _entry(run: CertifiedRun) -> dict[str, Any]:
    return {
        "problem": run.problem.name,
        "kind": run.problem.kind,
        "difficulty": run.problem.difficulty,
        "start": run.start,
        "status": run.status.value,
        "reason": run.reason,
        "digits": _rounded(run.digits),
        "error_digits": _rounded(run.error_digits),
        "estimated_digits": _rounded(run.estimated),
        "asked": {"digits": run.bounds.parameters, "error_digits": run.bounds.errors},
        "certified_to": {"digits": run.problem.certified_to, "error_digits": run.problem.errors_certified_to},
        "steps": run.steps,
        "seconds": round(run.seconds, 4),
        "short": list(run.short),
    }


def _rounded(digits: float | None) -> float | None:
    return None if digits is None else round(digits, 2)
