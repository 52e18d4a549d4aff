"""Rows with something in them that the fit has not seen, and that are predicted all the same: told, never passed over."""

from __future__ import annotations

from fitkit.models import Model
from fitkit.problem import RowData
from fitkit.run.numbers import counted


def unseen_rows(model: Model | None, rows: RowData | None) -> int | None:
    """Return how many rows have an input that the fit has not seen; None where the model has no such inputs."""
    import numpy as np

    masks = {} if model is None or rows is None else model.unseen(rows.inputs)
    return int(np.logical_or.reduce(list(masks.values())).sum()) if masks else None


def unseen_told(model: Model | None, rows: RowData | None, which: str = "") -> list[str]:
    """Return a sentence about such rows, if there are any; `which` says of what rows: ` held out`."""
    found = unseen_rows(model, rows)
    if not found or model is None or rows is None:
        return []
    parts = [
        f"a new `{name}` in {counted(int(mask.sum()), 'row')}"
        for name, mask in model.unseen(rows.inputs).items()
        if mask.any()
    ]
    what = f"{found} of {counted(len(rows), 'row')}{which} {'has' if found == 1 else 'have'} what the fit has not seen"
    return [f"{what}, {' and '.join(parts)}: predicted from what is known of the rest"]
