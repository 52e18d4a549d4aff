"""Metrics as text: a line for the rows of the fit, one for those held out, and the confusion of few classes."""

from __future__ import annotations

from typing import Any

from fitkit.result import Result

WORDS = {"accuracy": "accuracy", "log_loss": "log loss", "roc_auc": "ROC AUC"}
ERRORS = {"rmse": "RMSE", "mae": "MAE", "r_squared": "R squared"}
MOST_CLASSES = 4
"""Classes up to which the confusion is told in the line; `--json` has it for all."""


def metric_facts(result: Result) -> list[tuple[str, str]]:
    """Return the lines of metrics, as label and text: of classes always, of numbers where rows were held out."""
    held_out = bool(result.metrics.get("validation"))
    facts = []
    for label, key in (("training", "train"), ("validation", "validation")):
        found = result.metrics.get(key) or {}
        words = WORDS if "accuracy" in found else ERRORS if held_out else {}
        told = [f"{word} {found[name]:.5g}" for name, word in words.items() if found.get(name) is not None]
        if told:
            facts.append((label, ", ".join(told) + _confused(result.classes or (), found)))
    return facts


def _confused(classes: tuple[str, ...], found: dict[str, Any]) -> str:
    """Return which classes were taken for which, for few classes."""
    table = found.get("confusion")
    if table is None or len(classes) > MOST_CLASSES:
        return ""
    wrong = [
        f"{count:g} {classes[true]} taken for {classes[taken]}"
        for true, row in enumerate(table)
        for taken, count in enumerate(row)
        if true != taken and count
    ]
    return "; " + ", ".join(wrong) if wrong else ""
