"""Inputs side by side: the same columns by name, in any order, and the same rows after any choice of them."""

from __future__ import annotations

import numpy as np
import pytest

from fitkit.backend import jax, jnp
from fitkit.input_matrix import InputMatrix, input_matrix
from fitkit.problem import RowData, register_pytrees

TABLE = np.arange(15.0).reshape(5, 3)
INPUTS = InputMatrix(("a", "b", "c"), jnp.asarray(TABLE))


def test_columns_have_their_names() -> None:
    assert (list(INPUTS), len(INPUTS)) == (["a", "b", "c"], 3)
    np.testing.assert_array_equal(INPUTS["b"], TABLE[:, 1])
    with pytest.raises(KeyError):
        INPUTS["d"]


@pytest.mark.parametrize("names", [("a", "b", "c"), ("c", "a"), ("b",)])
def test_a_matrix_and_columns_by_name_are_the_same_matrix(names: tuple[str, ...]) -> None:
    expected = TABLE[:, ["abc".index(name) for name in names]]
    np.testing.assert_array_equal(input_matrix(INPUTS, names), expected)
    np.testing.assert_array_equal(input_matrix(dict(INPUTS), names), expected)
    assert input_matrix(INPUTS, INPUTS.names) is INPUTS.matrix


def test_rows_of_a_matrix_are_taken_filled_up_and_passed_through_compiled_code() -> None:
    register_pytrees()
    rows = RowData(inputs=INPUTS, target=jnp.arange(5.0), sigma=None, weight=jnp.ones(5))
    np.testing.assert_array_equal(rows.take(jnp.asarray([3, 0])).inputs["c"], TABLE[[3, 0], 2])
    last = rows.chunks(2)[-1]
    np.testing.assert_array_equal(last.inputs["a"], TABLE[[4, 4], 0])
    np.testing.assert_array_equal(last.weight, [1, 0])
    again = jax.jit(lambda r: r)(rows)
    assert isinstance(again.inputs, InputMatrix)
    np.testing.assert_array_equal(again.inputs.matrix, TABLE)
