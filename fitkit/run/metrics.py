"""How well a fit predicts, in the numbers that suit its loss.

Classes: accuracy, log loss, the confusion table (rows the true class, columns the predicted one) and, of two classes, the
area under the ROC curve, which is the chance that a row of the second class has the higher probability, ties counted half.
Numbers: root mean square error, mean absolute error and R squared. All are weighted by the rows' weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fitkit.losses import Loss
from fitkit.run.numbers import number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def metrics_of(loss: Loss, target: Vector, predictions: Vector, weight: Vector) -> dict[str, Any]:
    """Return the metrics by name.

    Args:
        loss: with the classes, where it has any.
        target: shape (rows,), of classes their places.
        predictions: on the scale of the target, shape (rows,), or the probability of each class, (rows, classes).
        weight: shape (rows,).
    """
    import numpy as np

    with np.errstate(all="ignore"):
        if loss.classes:
            return _of_classes(loss.classes, target.astype(int), predictions, weight / weight.sum(), weight)
        share, miss = weight / weight.sum(), target - predictions
        total = float(share @ (target - share @ target) ** 2)
        square = float(share @ miss**2)
    return {
        "rmse": number(square**0.5),
        "mae": number(float(share @ np.abs(miss))),
        "r_squared": number(1 - square / total) if total > 0 else None,
    }


def _of_classes(
    classes: tuple[str, ...], target: NDArray[np.int64], predictions: Vector, share: Vector, weight: Vector
) -> dict[str, Any]:
    import numpy as np

    chances = predictions if predictions.ndim == 2 else np.stack([1 - predictions, predictions], axis=1)
    chosen = np.argmax(chances, axis=1)
    of_target = np.take_along_axis(chances, target[:, None], axis=1)[:, 0]
    confusion = np.zeros((len(classes), len(classes)))
    np.add.at(confusion, (target, chosen), weight)
    found: dict[str, Any] = {
        "accuracy": number(float(share @ (chosen == target))),
        "log_loss": number(float(-share @ np.log(of_target))),
        "confusion": [[_whole(count) for count in row] for row in confusion.tolist()],
    }
    if len(classes) == 2:
        found["roc_auc"] = number(_area(target == 1, chances[:, 1], weight))
    return found


def _whole(count: float) -> float | int:
    return int(count) if count.is_integer() else count


def _area(yes: NDArray[np.bool_], score: Vector, weight: Vector) -> float:
    """Return the weighted chance that a yes scores above a no, ties counted half; NaN where one of them is missing."""
    import numpy as np

    values, group = np.unique(score, return_inverse=True)
    ups, downs = (np.bincount(group, weight * part, len(values)) for part in (yes, ~yes))
    below = np.cumsum(downs) - downs
    pairs = ups.sum() * downs.sum()
    return float(ups @ (below + downs / 2) / pairs) if pairs > 0 else float("nan")
