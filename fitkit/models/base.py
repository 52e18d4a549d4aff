"""What a model is: one prediction per row from named parameters and named inputs."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from fitkit.component import Component
from fitkit.models.outlook import Outlook
from fitkit.parameters import in_a_row
from fitkit.readers import Table
from fitkit.types import Inputs, Outputs, Rows, Scalar, Values


class Model(Component):
    """Abstract: a prediction for each row.

    A model says which columns and parameters it needs before any data are read, so that a config can be checked alone.
    """

    predicts_rate: ClassVar[bool] = False
    """Whether predictions are on the scale of the target even for counts; otherwise they are on the link's scale."""

    may_be_constant: ClassVar[bool] = False
    """Whether one number for all rows is a prediction; otherwise anything but one number per row is an error."""

    elementwise: ClassVar[bool] = False
    """Whether a row's prediction is arithmetic on its inputs that broadcasts, so that many problems may stand side by side
    along a further axis of inputs, shape (rows, lanes), and parameters, (lanes,)."""

    as_matrix: ClassVar[bool] = False
    """Whether the inputs come as an `InputMatrix`, which `input_matrix(inputs, names)` hands out without a copy."""

    trained: ClassVar[bool] = False
    """Whether the model is one of many weights that are determined together only: it is trained by passes over the rows, in
    float32 unless the config says otherwise, and its weights have no errors and may have flat directions."""

    batch: ClassVar[int] = 128
    """How many rows an update of training takes, where the config does not say."""

    @property
    def has_constant(self) -> bool:
        """Whether R squared compares with the mean of the target (else with zero, for models through the origin)."""
        return True

    @property
    def weighs(self) -> tuple[str | None, tuple[str, ...]] | None:
        """The parameter that is added, and those that columns of an `InputMatrix` are multiplied by, where that is all."""
        return None

    @property
    @abstractmethod
    def inputs_used(self) -> tuple[str, ...] | None:
        """The columns read for predictions, or None where only the table tells columns from parameters (a formula)."""

    @property
    def all_inputs(self) -> bool:
        """Whether the inputs are all columns without another part to play."""
        return False

    @property
    def input_keys(self) -> tuple[tuple[str | int, ...], ...]:
        """Where under `model` the config names each of the inputs."""
        return tuple(("inputs", index) for index in range(len(self.inputs_used or ())))

    @property
    @abstractmethod
    def target_used(self) -> str | None:
        """The column that is predicted, or None where the target is an expression of columns (a formula)."""

    @property
    @abstractmethod
    def parameter_names(self) -> tuple[str, ...] | None:
        """The parameters the model defines by itself, or None where the config's `parameters` names them."""

    @property
    def penalized(self) -> frozenset[str] | None:
        """Parameters that regularization acts on, weights but not intercepts; None for all that are free."""
        return None

    @property
    def inner_shapes(self) -> dict[str, tuple[int, ...]] | None:
        """The shapes of the parameters that are searched, where they are others than those of `parameter_names`."""
        return None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the model's own parameters that are arrays."""
        return {}

    def initial(self, seed: int) -> dict[str, Any]:
        """Return where those of its own parameters start that do not start at zero, numbers or arrays, by the seed."""
        del seed
        return {}

    @property
    def noisy(self) -> bool:
        """Whether training passes compute something else than predictions, by chance."""
        return False

    @property
    def constant(self) -> tuple[str, ...]:
        """Inputs that are the same in every row, and have weight zero."""
        return ()

    @property
    def unused(self) -> tuple[str, ...]:
        """Parameters that the table leaves nothing to do for, and that are held at zero."""
        return ()

    def inner_start(self, outer: dict[str, float]) -> dict[str, Any]:
        """Return where the numbers that are searched begin, from starts as they are reported."""
        return dict(outer)

    def with_inputs(self, names: tuple[str, ...]) -> Model:
        """Return the model of these inputs, where it asks for all columns."""
        del names
        return self

    def prepared(self, table: Table, outlook: Outlook) -> Model:
        """Return the model with what it needs to know of the table."""
        del table, outlook
        return self

    def learned(self) -> dict[str, Any]:
        """Return what the model knows of its table, as JSON has it."""
        return {}

    def recalled(self, learned: dict[str, Any]) -> Model:
        """Return the model with what it once learned."""
        del learned
        return self

    def design(self, table: Table) -> tuple[tuple[str, ...], Any] | None:
        """Return the names and numbers of what is weighed, shape (rows, features), where inputs are coded."""
        del table
        return None

    def places(self, table: Table) -> dict[str, Any] | None:
        """Return the inputs by name as places among what is known of them, whole numbers, where they are looked up."""
        del table
        return None

    def unseen(self, inputs: Inputs) -> dict[str, Any]:
        """Return for each input that may be new which rows have one, shape (rows,), and are predicted all the same."""
        del inputs
        return {}

    def standardized(self, values: Values) -> Rows | None:
        """Return the parameters for standardized inputs, in the order of `parameter_names`; None where those are not."""
        del values
        return None

    @property
    def reports_otherwise(self) -> bool:
        """Whether the parameters that a report tells are others than those that the model computes with."""
        return False

    def weights(self, values: Values, names: tuple[str, ...]) -> Rows:
        """Return the numbers that regularization acts on, of the parameters `names`, shape (penalized,)."""
        return in_a_row(values, names)

    @property
    def reported_names(self) -> tuple[str, ...]:
        """The parameters that a report tells, where it `reports_otherwise`."""
        raise NotImplementedError

    def reported(self, values: Values) -> Rows:
        """Return the numbers that a report tells, where it `reports_otherwise`, shape (reported,)."""
        raise NotImplementedError

    @abstractmethod
    def predict(self, values: Values, inputs: Inputs) -> Outputs | Scalar:
        """Return the predictions from parameters and inputs by name.

        Shape (rows,), or () where `may_be_constant`, or (rows, classes) under a loss of several classes.
        """

    def predict_in_training(self, values: Values, inputs: Inputs, key: Any) -> Outputs | Scalar:
        """Return what an update of training is made with, which chance decides where the model is `noisy`.

        Args:
            values: of the parameters.
            inputs: of the rows.
            key: a uint32 that decides, another for each update.
        """
        del key
        return self.predict(values, inputs)

    def in_raw_units(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters by name, numbers or arrays of the host, for inputs as they stand in the table."""
        return values
