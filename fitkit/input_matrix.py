"""Many inputs as one matrix: what models of weighted sums multiply, and minibatches gather in one piece."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from fitkit.backend import jnp
from fitkit.types import Inputs, Rows, RowsByColumns


@final
@dataclass(frozen=True, eq=False)
class InputMatrix(Mapping[str, Rows]):
    """The columns of a table as one array, by name.

    A row lies in one piece of memory: a product with weights reads it once, and a row of a minibatch is one copy instead
    of one for each column.
    """

    names: tuple[str, ...]
    matrix: RowsByColumns

    def __getitem__(self, name: str) -> Rows:
        """Return one column, shape (rows,)."""
        try:
            return self.matrix[:, self.names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        """Yield the names in the order of the columns."""
        return iter(self.names)

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self.names)

    def take(self, index: Any) -> InputMatrix:
        """Return the rows at `index` (a slice or an array of row numbers)."""
        return InputMatrix(self.names, self.matrix[index])


def input_matrix(inputs: Inputs, names: tuple[str, ...]) -> RowsByColumns:
    """Return the inputs called `names` side by side, shape (rows, names), without a copy where they lie like that."""
    if not isinstance(inputs, InputMatrix):
        return jnp.stack([inputs[name] for name in names], axis=1)
    if inputs.names == names:
        return inputs.matrix
    return inputs.matrix[:, jnp.asarray([inputs.names.index(name) for name in names])]
