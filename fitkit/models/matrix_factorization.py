"""A matrix factorization: a recommender."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final
from zlib import crc32

from fitkit.backend import jnp
from fitkit.models.base import Model
from fitkit.models.coding import Levels, levels_of
from fitkit.models.outlook import Outlook
from fitkit.readers import Table
from fitkit.types import Inputs, PositiveCount, Rows, Values

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Truths = NDArray[np.bool_]
    Codes = NDArray[np.int32]

SPREAD = 0.1
"""The standard deviation of factors at the start."""


@final
@dataclass(frozen=True, kw_only=True)
class MatrixFactorization(Model):
    """A recommender: mean + user bias + item bias + sum over k of user factor k times item factor k.

    Users and items are texts or numbers. The parameters are the number `mean`, and the arrays `user_bias`, `item_bias`,
    `user_factors` of shape (users, rank) and `item_factors`, whose rows are the users and items of the fit, sorted. A
    user or an item that the fit has not seen has a bias and factors of zero. Penalties act on the factors. It is trained by
    `adam` in float32 unless the config says otherwise.
    """

    kind: Literal["matrix_factorization"] = "matrix_factorization"
    user: str
    """The column of users, texts or numbers."""
    item: str
    """The column of items, texts or numbers."""
    target: str
    """The column that is predicted, such as a rating."""
    rank: PositiveCount = 10
    """How many factors each user and each item has."""
    biases: bool = True
    """Whether each user and each item has a constant of its own beside the mean."""
    users: Levels | None = field(default=None, init=False)
    """Those of the rows of the fit, once the table is known."""
    items: Levels | None = field(default=None, init=False)
    middle: float = field(default=0.0, init=False)
    """Where the mean starts: at the best prediction that is the same for all rows."""
    trained: ClassVar[bool] = True
    batch: ClassVar[int] = 512

    @property
    def inputs_used(self) -> tuple[str, ...]:
        """The columns of users and items."""
        return (self.user, self.item)

    @property
    def input_keys(self) -> tuple[tuple[str | int, ...], ...]:
        """The keys `user` and `item`."""
        return (("user",), ("item",))

    @property
    def target_used(self) -> str:
        """The target column."""
        return self.target

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """`mean`, the biases if there are any, and the factors."""
        return ("mean", *(("user_bias", "item_bias") if self.biases else ()), "user_factors", "item_factors")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """(users,) and (items,) of biases, (users, rank) and (items, rank) of factors."""
        users, items = (0 if levels is None else len(levels.names) for levels in (self.users, self.items))
        found: dict[str, tuple[int, ...]] = {"user_bias": (users,), "item_bias": (items,)} if self.biases else {}
        return found | {"user_factors": (users, self.rank), "item_factors": (items, self.rank)}

    @property
    def penalized(self) -> frozenset[str]:
        """The factors."""
        return frozenset({"user_factors", "item_factors"})

    def prepared(self, table: Table, outlook: Outlook) -> MatrixFactorization:
        """Return the model with the users and items of the rows that count."""
        counted = outlook.weight > 0
        users, items = (levels_of(table, column, counted) for column in self.inputs_used)
        return _with(self, users=users, items=items, middle=outlook.middle)

    def learned(self) -> dict[str, Any]:
        """Return the users and items."""
        return {
            "users": None if self.users is None else self.users.as_json(),
            "items": None if self.items is None else self.items.as_json(),
        }

    def recalled(self, learned: dict[str, Any]) -> MatrixFactorization:
        """Return the model with what it once learned."""
        users, items = (Levels.from_json(learned[which]) for which in ("users", "items"))
        return _with(self, users=users, items=items)

    def places(self, table: Table) -> dict[str, Codes]:
        """Return of each row the places of its user and its item among those of the fit, -1 where it has no place."""
        import numpy as np

        if self.users is None or self.items is None:
            raise AssertionError("users and items are known before rows are read")
        pairs = ((self.user, self.users), (self.item, self.items))
        return {column: levels.codes(table, column).astype(np.int32) for column, levels in pairs}

    def unseen(self, inputs: Inputs) -> dict[str, Truths]:
        """Return for the columns of users and items which rows have an entry that the fit has not seen, shape (rows,)."""
        import numpy as np

        return {column: np.asarray(inputs[column]) < 0 for column in self.inputs_used}

    def initial(self, seed: int) -> dict[str, Any]:
        """Return the mean at the middle of the target, and factors drawn by the seed from a normal distribution of 0.1."""
        import numpy as np

        found: dict[str, Any] = {"mean": np.asarray(self.middle)}
        for name in ("user_factors", "item_factors"):
            random = np.random.default_rng([seed, crc32(name.encode())])
            found[name] = random.normal(0.0, SPREAD, self.shapes[name])
        return found

    def predict(self, values: Values, inputs: Inputs) -> Rows:
        """Return the prediction of each row, shape (rows,), from the places of its user and its item.

        References: Y. Koren, R. Bell and C. Volinsky, Matrix Factorization Techniques for Recommender Systems, IEEE Computer
        42 (2009).
        """
        user, item = inputs[self.user], inputs[self.item]
        factors = _rows_at(values["user_factors"], user) * _rows_at(values["item_factors"], item)
        found: Rows = values["mean"] + jnp.sum(factors, axis=1)
        if self.biases:
            found = found + _rows_at(values["user_bias"], user) + _rows_at(values["item_bias"], item)
        return found


def _rows_at(array: Any, place: Any) -> Any:
    """Return the rows of an array at `place`, shape (rows, ...), zero where that is -1."""
    found = array.at[jnp.maximum(place, 0)].get(mode="promise_in_bounds")
    known = (place >= 0).reshape(place.shape + (1,) * (found.ndim - 1))
    return jnp.where(known, found, 0.0)


def _with(model: MatrixFactorization, **known: Any) -> MatrixFactorization:
    """Return the model with what is known of the table."""
    found = replace(model)
    for name in ("users", "items", "middle"):
        object.__setattr__(found, name, known.get(name, getattr(model, name)))  # frozen for users; this is construction
    return found
