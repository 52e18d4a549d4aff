"""The gradient check: is the gradient that `train` would use the derivative of the value that it would print?"""

from __future__ import annotations

from fitkit.gradient_check.check import check_function
from fitkit.gradient_check.result import (
    Check,
    ClaimStatus,
    ClaimVerdict,
    Cost,
    Finding,
    GradientReport,
    Rule,
    Severity,
    Verdict,
)
from fitkit.gradient_check.settings import PointKind, Settings
from fitkit.gradient_check.subject import Block, Subject

__all__ = [
    "Block",
    "Check",
    "ClaimStatus",
    "ClaimVerdict",
    "Cost",
    "Finding",
    "GradientReport",
    "PointKind",
    "Rule",
    "Settings",
    "Severity",
    "Subject",
    "Verdict",
    "check_function",
]
