"""What a run leaves behind, file by file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from fitkit.config import ConfigSource, resolved
from fitkit.minimize import Search
from fitkit.reports.json_document import render
from fitkit.result import Result
from fitkit.run.assemble import Assembled
from fitkit.run.conclude import Conclusion
from fitkit.run.folder import RESULT, RunFolder
from fitkit.uncertainty.bands import Bands

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def save(
    folder: RunFolder,
    source: ConfigSource,
    result: Result,
    search: Search,
    conclusion: Conclusion,
    assembled: Assembled,
) -> None:
    """Write every file of the run, and publish them together.

    Raises:
        FileSystemFault: the disk refuses.
    """
    folder.write("config.yaml", _text(resolved(source, folder.path)))
    history = ((row.step, *map(_cell, row[1:])) for row in search.history)
    folder.write("history.csv", _text(_csv(("step", "loss", "optimality", "change"), history)))
    if conclusion.predictions is not None:
        folder.write("predictions.csv", _text(_predictions(assembled, conclusion.predictions, conclusion.bands)))
    folder.write("parameters.npz", lambda stream: _arrays(stream, conclusion.values))
    folder.write(RESULT, _text(render(result) + "\n"))
    folder.publish()


def _text(text: str) -> Callable[[BinaryIO], object]:
    return lambda stream: stream.write(text.encode(errors="backslashreplace"))


def _cell(value: float) -> str:
    """Return the shortest text that reads back as the same number; empty where it is not known."""
    return "" if value != value else repr(float(value))


def _csv(header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


def _predictions(assembled: Assembled, predictions: NDArray[np.float64], bands: Bands | None) -> str:
    """Return inputs, target, prediction, residual and the ends of the bands that there are, row by row."""
    import numpy as np

    rows = assembled.problem.rows
    if rows is None:
        raise AssertionError("predictions come from rows")
    names = [key for key in rows.inputs if isinstance(key, str)]
    target = np.asarray(rows.target, np.float64)
    columns = [
        *(np.asarray(rows.inputs[name], np.float64) for name in names),
        target,
        predictions,
        target - predictions,
    ]
    ends = {} if bands is None else bands.ends
    columns += ends.values()
    header = (*names, (assembled.target or "target").strip(), "prediction", "residual", *ends)
    return _csv(header, (tuple(map(_cell, row)) for row in np.column_stack(columns).tolist()))


def _arrays(stream: BinaryIO, values: Mapping[str, Any]) -> None:
    """Write an array for each parameter in numpy's format.

    Not by `numpy.savez`: it takes the arrays as keywords, and parameters may be called `file` or `allow_pickle`.
    """
    import zipfile

    import numpy as np

    with zipfile.ZipFile(stream, "w") as archive:
        for name, value in values.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.asarray(value, np.float64), allow_pickle=False)
