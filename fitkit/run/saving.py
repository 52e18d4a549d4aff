"""What a run leaves behind, file by file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from fitkit.config import ConfigSource, resolved
from fitkit.minimize import HistoryRow, Search
from fitkit.reports.json_document import render
from fitkit.result import Result
from fitkit.run.assemble import Assembled
from fitkit.run.conclude import Conclusion
from fitkit.run.folder import RESULT, RunFolder
from fitkit.run.prediction_table import as_csv, cell, prediction_table, written
from fitkit.run.saved_model import NOTES, NUMBERS, SavedModel, code_of, notes_of, write_numbers


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
    folder.write("config.yaml", text_of(resolved(source, folder.path)))
    told = len(HistoryRow._fields) - (search.final.validation != search.final.validation)  # the last where there is one
    history = ((row.step, *map(cell, row[1:told])) for row in search.history)
    folder.write("history.csv", text_of(written(HistoryRow._fields[:told], history)))
    if conclusion.predictions is not None:
        columns = prediction_table(assembled, conclusion.predictions, conclusion.bands)
        folder.write("predictions.csv", text_of(as_csv(columns)))
    if assembled.problem.rows is not None:
        saved = _for_predictions(assembled, search, conclusion, folder)
        folder.write(NOTES, text_of(notes_of(assembled.target, saved)))
        folder.write(NUMBERS, lambda stream: write_numbers(stream, saved))
    folder.write("parameters.npz", lambda stream: write_arrays(stream, conclusion.values))
    folder.write(RESULT, text_of(render(result) + "\n"))
    folder.publish()


def _for_predictions(assembled: Assembled, search: Search, conclusion: Conclusion, folder: RunFolder) -> SavedModel:
    """Return what predictions from the saved run will need."""
    model, loss = assembled.problem.model, assembled.problem.loss
    if model is None or loss is None:
        raise AssertionError("predictions come from a model")
    code, code_folder = code_of(model, folder.path)
    return SavedModel(
        theta=search.theta,
        spread=conclusion.spread,
        inputs=assembled.inputs,
        classes=loss.classes,
        unused=tuple(sorted(assembled.unused)),
        learned=model.learned(),
        level=conclusion.uncertainty.level,
        residual_variance=conclusion.uncertainty.residual_variance,
        code=code,
        code_folder=code_folder,
    )


def text_of(text: str) -> Callable[[BinaryIO], object]:
    """Return what writes a text."""
    return lambda stream: stream.write(text.encode(errors="backslashreplace"))


def write_arrays(stream: BinaryIO, values: Mapping[str, Any]) -> None:
    """Write an array for each parameter in numpy's format.

    Not by `numpy.savez`: it takes the arrays as keywords, and parameters may be called `file` or `allow_pickle`.
    """
    import zipfile

    import numpy as np

    with zipfile.ZipFile(stream, "w") as archive:
        for name, value in values.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.asarray(value, np.float64), allow_pickle=False)
