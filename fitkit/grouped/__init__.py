"""Many fits of one model, a group of rows each, in one compiled program; and the global fit that shares parameters.

The lanes of a batch are problems of a few parameters that differ in everything but their formulas: rows, weights, starts.
What a batch cannot vouch for is fitted alone, so that every answer has the verdict of a single fit.
"""

from __future__ import annotations

from fitkit.grouped.fit import UNROLLED_UP_TO, fit_groups, suits
from fitkit.grouped.groups import Alone, GroupedFit, GroupProgress, Groups, SharedFit, status_of

__all__ = [
    "UNROLLED_UP_TO",
    "Alone",
    "GroupProgress",
    "GroupedFit",
    "Groups",
    "SharedFit",
    "fit_groups",
    "status_of",
    "suits",
]
