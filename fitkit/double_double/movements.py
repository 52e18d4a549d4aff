"""What moves numbers about in a traced program, the two parts of a double-double alike, and sums of products of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from fitkit.double_double.arithmetic import DoubleDouble

Value: TypeAlias = Any
"""A DoubleDouble where the program has floats, a numpy array where it has whole numbers or truths."""
Operation: TypeAlias = Callable[[list[Value], dict[str, Any]], Value]
"""Maps operands and the parameters of an equation to its result."""


class UnknownOperation(NotImplementedError):  # noqa: N818 - named for what was met
    """The program has an operation that is not known in double-double."""


def entered(value: Value) -> Value:
    """Return floats as double-doubles, anything else as an array."""
    import numpy as np

    if isinstance(value, DoubleDouble):
        return value
    array = np.asarray(value)
    return DoubleDouble.of(array) if array.dtype.kind == "f" else array


def _each(operate: Callable[..., Any], value: Value) -> Value:
    """Move numbers about, the two parts of a double-double alike."""
    if isinstance(value, DoubleDouble):
        return DoubleDouble(operate(value.high), operate(value.low))
    return operate(value)


def _broadcast(operands: list[Value], parameters: dict[str, Any]) -> Value:
    import numpy as np

    shape, places = parameters["shape"], parameters["broadcast_dimensions"]

    def spread(part: Any) -> Any:
        lined = [1] * len(shape)
        for axis, place in enumerate(places):
            lined[int(place)] = part.shape[axis]
        return np.broadcast_to(part.reshape(lined), shape)

    return _each(spread, operands[0])


def _slice(operands: list[Value], parameters: dict[str, Any]) -> Value:
    starts, ends = parameters["start_indices"], parameters["limit_indices"]
    strides = parameters["strides"] or (1,) * len(starts)
    index = tuple(slice(*map(int, part)) for part in zip(starts, ends, strides, strict=True))
    return _each(lambda part: part[index], operands[0])


def _joined(join: Callable[[list[Any]], Any], operands: list[Value]) -> Value:
    if isinstance(operands[0], DoubleDouble):
        return DoubleDouble(join([each.high for each in operands]), join([each.low for each in operands]))
    return join(operands)


def _concatenate(operands: list[Value], parameters: dict[str, Any]) -> Value:
    import numpy as np

    return _joined(lambda parts: np.concatenate(parts, axis=int(parameters["dimension"])), operands)


def _stack(operands: list[Value], parameters: dict[str, Any]) -> Value:
    import numpy as np

    return _joined(lambda parts: np.stack(parts, axis=int(parameters["axis"])), operands)


def _convert(operands: list[Value], parameters: dict[str, Any]) -> Value:
    import numpy as np

    target = np.dtype(parameters["new_dtype"])
    if target.kind == "f":
        if target.itemsize < 8:
            raise UnknownOperation("single precision")
        return (
            entered(np.asarray(operands[0], np.float64)) if not isinstance(operands[0], DoubleDouble) else operands[0]
        )
    source = operands[0].high if isinstance(operands[0], DoubleDouble) else operands[0]
    return source.astype(target)


def select(operands: list[Value], _: dict[str, Any]) -> Value:
    """Return the second case where the first operand holds, else the first."""
    import numpy as np

    if len(operands) != 3:
        raise UnknownOperation("a choice among more than two")
    which, first, second = operands
    pick = np.asarray(which, bool)
    if isinstance(first, DoubleDouble):
        return DoubleDouble(np.where(pick, second.high, first.high), np.where(pick, second.low, first.low))
    return np.where(pick, second, first)


def _total(operands: list[Value], parameters: dict[str, Any]) -> Value:
    import numpy as np

    axes = sorted((int(axis) for axis in parameters["axes"]), reverse=True)
    if not isinstance(operands[0], DoubleDouble):
        return np.sum(operands[0], axis=tuple(axes))
    total = operands[0]
    for axis in axes:
        total = total.sum(axis)
    return total


def _product_of_matrices(operands: list[Value], parameters: dict[str, Any]) -> Value:
    import numpy as np

    (left, right), ((over_left, over_right), (batch_left, batch_right)) = operands, parameters["dimension_numbers"]

    def lined(part: Any, batch: Any, over: Any, *, first: bool) -> Any:
        free = [axis for axis in range(part.ndim) if axis not in {*map(int, batch), *map(int, over)}]
        moved = np.transpose(part, [*map(int, batch), *free, *map(int, over)])
        sizes = moved.shape
        head, tail = sizes[: len(batch)], sizes[len(batch) + len(free) :]
        body = sizes[len(batch) : len(batch) + len(free)]
        return (
            moved.reshape(*head, *(body if first else ()), *((1,) * unlike), *(() if first else body), -1),
            body,
            tail,
        )

    unlike = right.high.ndim - len(batch_right) - len(over_right)
    a = _each(lambda part: lined(part, batch_left, over_left, first=True)[0], left)
    unlike = left.high.ndim - len(batch_left) - len(over_left)
    b = _each(lambda part: lined(part, batch_right, over_right, first=False)[0], right)
    product = a * b
    return product.sum(product.high.ndim - 1)


def _iota(_: list[Value], parameters: dict[str, Any]) -> Value:
    import numpy as np

    axis, shape = int(parameters["dimension"]), parameters["shape"]
    lined = [1] * len(shape)
    lined[axis] = shape[axis]
    counted = np.broadcast_to(np.arange(shape[axis]).reshape(lined), shape)
    return counted if np.dtype(parameters["dtype"]).kind != "f" else DoubleDouble.of(counted)


MOVEMENTS: Final[dict[str, Operation]] = {
    "select_n": select,
    "broadcast_in_dim": _broadcast,
    "reshape": lambda operands, parameters: _each(lambda part: part.reshape(parameters["new_sizes"]), operands[0]),
    "squeeze": lambda operands, parameters: _each(
        lambda part: part.squeeze(tuple(int(axis) for axis in parameters["dimensions"])), operands[0]
    ),
    "transpose": lambda operands, parameters: _each(
        lambda part: part.transpose([int(axis) for axis in parameters["permutation"]]), operands[0]
    ),
    "slice": _slice,
    "concatenate": _concatenate,
    "stack": _stack,
    "convert_element_type": _convert,
    "copy": lambda operands, _: operands[0],
    "stop_gradient": lambda operands, _: operands[0],
    "iota": _iota,
    "reduce_sum": _total,
    "dot_general": _product_of_matrices,
}
