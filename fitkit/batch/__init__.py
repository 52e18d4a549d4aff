"""Many fits as one piece of work: which they are, how they are run, and what became of each.

`plan` names the fits that configs mean, an executor yields a `BatchOutcome` for each as it ends, and every report of a batch
is a function of these outcomes.
"""

from __future__ import annotations

from fitkit.batch.entry import BatchEntry
from fitkit.batch.outcome import BatchOutcome
from fitkit.batch.plan import Plan, plan
from fitkit.batch.summary import BatchSummary

__all__ = ["BatchEntry", "BatchOutcome", "BatchSummary", "Plan", "plan"]
