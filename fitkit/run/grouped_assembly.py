"""From a config with groups to a batch of fits: what they have in common, the rows of each, and where each begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, final

from fitkit.config import ConfigSource
from fitkit.grouped import Groups
from fitkit.parameters import Parameter
from fitkit.problem import Problem, RowData, register_pytrees
from fitkit.readers import Table
from fitkit.readers.grouping import Grouping
from fitkit.run.assemble import check_constraints, dtype_of, linked, loaded, problem_over, read_columns, target_name
from fitkit.run.numbers import counted
from fitkit.run.outlook import known_parameters, outlook_of
from fitkit.run.rows import host_rows, weights_of
from fitkit.run.starts import Parts, coordinate, inner_parts, with_defaults
from fitkit.run.targets import Faults, target_with_faults
from fitkit.types import ColumnName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Index = NDArray[np.intp]


@final
@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a group is not fitted at all."""

    word: str
    """What the table of groups says as its reason."""
    message: str
    """One sentence."""


@final
@dataclass(frozen=True, kw_only=True)
class AssembledGroups:
    """Many problems ready to be solved, and what a report needs beside them."""

    problem: Problem
    """What the groups have in common; its rows are none of theirs."""
    groups: Groups
    grouping: Grouping
    refused: Mapping[int, Refusal]
    """Why some groups are not fitted at all; they have no rows here."""
    parameters: dict[str, Parameter]
    unused: frozenset[str]
    table: Table
    target: str | None
    inputs: tuple[str, ...]
    rows: Index | slice
    """Which rows of the table are those of the groups, in their order."""


def assemble_groups(source: ConfigSource, *, allow_python: bool, stdin: BinaryIO | None = None) -> AssembledGroups:
    """Return the problems that a config with `group_by` describes.

    Raises:
        ConfigError: a name has no role, or Python code is asked for without permission.
        DataError: the table cannot be read.
    """
    config = source.config
    if config.model is None:
        raise AssertionError("groups are of rows, and rows have a model")
    dtype = dtype_of(config)
    model = loaded(source, config.model, allow_python=allow_python)
    table, roles = read_columns(source, stdin, claimed=False)
    grouping = _grouping_of(table)
    target, loss, faults = target_with_faults(model, linked(config.loss, model), table)
    weight = weights_of(config, table)
    model = model.with_inputs(roles.model_inputs).prepared(table, outlook_of(config, weight, loss, target))
    known_parameters(source, model)
    begun = _Starts(source, table, grouping)
    parameters = {name: begun.placeholder(p) for name, p in with_defaults(config, model).items()}
    parts = inner_parts(model, parameters, roles.unused, config.seed, dtype)
    check_constraints(source, model, len(parts.start))
    refused = {**_without_rows(grouping), **_faulty(faults, grouping), **begun.outside()}
    index, offsets = _kept(grouping, weight, refused)
    rows = host_rows(config, table, model, loss, target, dtype, index)
    register_pytrees()
    return AssembledGroups(
        problem=problem_over(config, parts, model, loss, rows.take(slice(0, 1)), 1.0),
        groups=begun.groups(parts, rows, offsets),
        grouping=grouping,
        refused=refused,
        parameters=parameters,
        unused=frozenset({*roles.unused, *model.unused}),
        table=table,
        target=target_name(model),
        inputs=roles.inputs,
        rows=index,
    )


def _grouping_of(table: Table) -> Grouping:
    if table.grouping is None:
        raise AssertionError("a config without groups")
    return table.grouping


# -- rows -------------------------------------------------------------------------------------------------------------------


def _without_rows(grouping: Grouping) -> dict[int, Refusal]:
    """Return the groups of which no row is used."""
    import numpy as np

    message = "No row of this group is left: `where` or missing entries leave them all out."
    told = Refusal(word="no_rows", message=message)
    return dict.fromkeys(np.flatnonzero(grouping.sizes == 0).tolist(), told)


def _faulty(faults: tuple[Faults, ...], grouping: Grouping) -> dict[int, Refusal]:
    """Return the groups with a row whose target has no cost, and how many such rows they have."""
    import numpy as np

    found: dict[int, Refusal] = {}
    for fault in faults:
        mask = fault.rows if grouping.order is None else fault.rows[grouping.order]
        counts = np.add.reduceat(np.append(mask, False).astype(np.int64), grouping.begins[:-1]) * (grouping.sizes > 0)
        for group in np.flatnonzero(counts).tolist():
            rows = counted(int(counts[group]), "row")
            message = f"The target {fault.words} in {rows} of {grouping.sizes[group]}."
            found.setdefault(group, Refusal(word="target", message=message))
    return found


def _kept(grouping: Grouping, weight: Vector, refused: Mapping[int, Refusal]) -> tuple[Index | slice, Index]:
    """Return the rows that have a part in a fit, group after group, and where each group begins among them."""
    import numpy as np

    sizes, sound = grouping.sizes, (weight > 0).all()
    if sound and grouping.order is None and not any(sizes[group] for group in refused):
        return slice(None), grouping.begins
    order = np.arange(len(weight)) if grouping.order is None else grouping.order
    kept = weight[order] > 0
    barred = np.zeros(len(grouping), bool)
    barred[list(refused)] = True
    kept &= ~np.repeat(barred, sizes)
    before = np.concatenate([[0], np.cumsum(kept)])
    return order[kept], before[grouping.begins]


# -- starts -----------------------------------------------------------------------------------------------------------------


@final
class _Starts:
    """Where the groups start: parameters that a column tells have a number for each group.

    Args:
        source: the config.
        table: with the columns.
        grouping: of its rows.
    """

    def __init__(self, source: ConfigSource, table: Table, grouping: Grouping) -> None:
        import numpy as np

        self._count = len(grouping)
        self._parameters = source.config.parameters
        there = grouping.sizes > 0
        firsts = grouping.begins[:-1][there]
        rows = firsts if grouping.order is None else grouping.order[firsts]
        self._columns: dict[str, Vector] = {}
        for name, parameter in self._parameters.items():
            if isinstance(parameter.start, ColumnName):
                numbers = np.full(self._count, np.nan)
                numbers[there] = table.numeric(parameter.start)[rows]
                self._columns[name] = numbers
        self._there = there

    def placeholder(self, parameter: Parameter) -> Parameter:
        """Return a parameter with a number as its start, of any group where a column tells it."""
        if not isinstance(parameter.start, ColumnName):
            return parameter
        name = next(name for name, p in self._parameters.items() if p.start is parameter.start)
        some = self._columns[name][self._there]
        return replace(parameter, start=float(some[0]) if len(some) else 1.0)

    def outside(self) -> dict[int, Refusal]:
        """Return the groups that would start outside of bounds, or at a logarithm that does not exist."""
        import numpy as np

        found: dict[int, Refusal] = {}
        for name, numbers in self._columns.items():
            parameter = self._parameters[name]
            low = -np.inf if parameter.min is None else parameter.min
            high = np.inf if parameter.max is None else parameter.max
            bad = (numbers < low) | (numbers > high)
            if parameter.scale == "log":
                bad |= numbers <= 0
            for group in np.flatnonzero(bad).tolist():
                where = "where no logarithm exists" if parameter.scale == "log" else "outside its bounds"
                found[group] = Refusal(word="start", message=f"`{name}` would start at {numbers[group]:g}, {where}.")
        return found

    def groups(self, parts: Parts, rows: RowData, offsets: Index) -> Groups:
        """Return the groups of rows that begin at `offsets`, where they start."""
        free = parts.fields["layout"].free
        return Groups(
            rows=rows,
            offsets=offsets,
            start=self._matrix(parts),
            held={name: numbers for name, numbers in self._columns.items() if name in parts.fields["held"]},
            shared=tuple(name for name in free if name in self._parameters and self._parameters[name].shared),
        )

    def _matrix(self, parts: Parts) -> Matrix:
        """Return theta at the start of each group, shape (groups, free)."""
        import numpy as np

        layout = parts.fields["layout"]
        start = np.tile(np.asarray(parts.start, np.float64), (self._count, 1))
        for name, numbers in self._columns.items():
            if name in layout.places:
                log = name in layout.logarithmic
                found = np.array([coordinate(number, logarithmic=log) for number in numbers.tolist()])
                start[:, layout.places[name].start] = found
        return start
