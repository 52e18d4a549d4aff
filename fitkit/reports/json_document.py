"""A result as one JSON document, `fitkit.result/1`: keys may be added, never renamed; what does not exist is null."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from fitkit.errors import Diagnostic
from fitkit.result import Result


def render(result: Result, *, ascii_only: bool = False) -> str:
    """Return the document as text, indented by two blanks; anything beyond ASCII as an escape if `ascii_only`."""
    return json.dumps(plain_document(result), indent=2, allow_nan=False, ensure_ascii=ascii_only)


def plain_document(result: Result) -> dict[str, Any]:
    """Return the document as JSON can say it: numbers that do not exist are None."""
    plain: dict[str, Any] = _plain(document(result))
    return plain


def document(result: Result) -> dict[str, Any]:
    """Return the document as maps, lists, texts and numbers."""
    uncertainty = result.uncertainty
    return {
        "schema": "fitkit.result/1",
        "name": result.name,
        "path": result.path,
        "exit_code": int(result.exit_code),
        "status": str(result.status),
        "reason": result.reason,
        "message": result.message,
        "errors": [error_entry(diagnostic) for diagnostic in result.errors],
        "parameters": {name: asdict(parameter) for name, parameter in result.parameters.items()},
        "loss": None if result.loss is None else asdict(result.loss),
        "fit": None if result.fit is None else asdict(result.fit),
        "classes": None if result.classes is None else list(result.classes),
        "metrics": result.metrics,
        "groups": None if result.groups is None else asdict(result.groups),
        "evidence": None if result.evidence is None else asdict(result.evidence),
        "uncertainty": None
        if uncertainty is None
        else {
            "kind": uncertainty.kind,
            "status": uncertainty.status,
            "message": uncertainty.message,
            "level": uncertainty.level,
            "names": list(uncertainty.names),
            "correlation": None if uncertainty.correlation is None else uncertainty.correlation.tolist(),
            "method": uncertainty.method,
            "resamples": uncertainty.resamples,
            "converged": uncertainty.converged,
            "bands": uncertainty.bands,
            "residual_variance": uncertainty.residual_variance,
        },
        "multistart": None if result.multistart is None else asdict(result.multistart),
        "constraints": [asdict(constraint) for constraint in result.constraints],
        "optimizer": result.optimizer,
        "steps": result.steps,
        "evaluations": result.evaluations,
        "compilations": result.compilations,
        "seconds": None if result.seconds is None else asdict(result.seconds),
        "expectations": [asdict(expectation) for expectation in result.expectations],
        "warnings": list(result.warnings),
        "config": result.config,
        "provenance": result.provenance,
    }


def error_entry(diagnostic: Diagnostic) -> dict[str, Any]:
    """Return one mistake as the document spells it."""
    return {key: getattr(diagnostic, key) for key in ("code", "message", "file", "line", "column", "help")}


def _plain(value: Any) -> Any:
    """Return the value with numbers that do not exist, which JSON cannot say, as null."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
