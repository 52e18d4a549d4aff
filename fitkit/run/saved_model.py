"""What of a fit is saved for its predictions: the numbers that were searched, and what the model learned of its table.

`model.json` has what is read by name; `model.npz` theta and how it scatters.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, final

from fitkit.errors import Diagnostic, SavedRunFault
from fitkit.models import Model, PythonModel
from fitkit.uncertainty.bands import NormalSpread, ResampledSpread, Spread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

SCHEMA = "fitkit.model/1"
NOTES, NUMBERS = "model.json", "model.npz"
HELD = "held_"
"""Of held parameters, which may have any name, the arrays are numbered."""


@final
@dataclass(frozen=True, kw_only=True)
class SavedModel:
    """What predictions need beside the config."""

    theta: Any
    """Shape (free,); of many fits (groups, free), NaN where a group has none."""
    spread: Spread | None
    inputs: tuple[str, ...]
    """Columns that predictions are made from."""
    classes: tuple[str, ...]
    unused: tuple[str, ...]
    learned: dict[str, Any]
    """What the model remembers of its table."""
    level: float | None
    residual_variance: float | None
    code: str | None
    """Of a python model, the hash of its file."""
    code_folder: str | None
    """Where the file stands, from the run's folder."""
    group_by: tuple[str, ...] = ()
    """Of many fits, the columns that tell them apart: what stands in these is in the table of groups."""
    held: dict[str, Vector] = field(default_factory=dict)
    """Of many fits, held parameters that differ, shape (groups,) each."""


def notes_of(target: str | None, saved: SavedModel) -> str:
    """Return the text of `model.json`."""
    spread = saved.spread
    notes = {
        "schema": SCHEMA,
        "inputs": list(saved.inputs),
        "target": target,
        "classes": list(saved.classes),
        "unused": list(saved.unused),
        "learned": saved.learned,
        "spread": None
        if spread is None
        else {"kind": "normal" if isinstance(spread, NormalSpread) else "resampled", "dof": spread.dof},
        "level": saved.level,
        "residual_variance": saved.residual_variance,
        "code_sha256": saved.code,
        "code_folder": saved.code_folder,
        **({"group_by": list(saved.group_by), "held": list(saved.held)} if saved.group_by else {}),
    }
    return json.dumps(notes, indent=2, ensure_ascii=False) + "\n"


def write_numbers(stream: BinaryIO, saved: SavedModel) -> None:
    """Write `model.npz`."""
    import numpy as np

    spread = saved.spread
    arrays = {"theta": saved.theta, **{f"{HELD}{place}": numbers for place, numbers in enumerate(saved.held.values())}}
    if spread is not None:
        arrays["spread"] = spread.half if isinstance(spread, NormalSpread) else spread.theta
    with zipfile.ZipFile(stream, "w") as archive:
        for name, numbers in arrays.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.asarray(numbers, np.float64), allow_pickle=False)


def code_of(model: Model | None, folder: Path) -> tuple[str | None, str | None]:
    """Return the hash of a python model's file, and the way from a folder to where it stands."""
    import os

    if not isinstance(model, PythonModel) or model.loaded is None:
        return None, None
    return model.loaded.sha256, os.path.relpath(model.loaded.folder, os.path.realpath(folder))


def read_saved(folder: Path) -> SavedModel:
    """Return what a run saved for predictions.

    Raises:
        SavedRunFault: it is not there, or cannot be read.
    """
    import numpy as np

    for name in ("result.json", "config.yaml"):
        if not (folder / name).is_file():
            raise unusable(folder, f"there is no `{name}` in it")
    if not (folder / NOTES).is_file() or not (folder / NUMBERS).is_file():
        raise unusable(
            folder, f"there is no `{NOTES}` with `{NUMBERS}` in it: it had no rows, or is of an older fitkit"
        )
    try:
        notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
        if notes["schema"] != SCHEMA:
            raise unusable(folder, f"`{NOTES}` is of the schema {notes['schema']!r}, not {SCHEMA!r}")
        with np.load(folder / NUMBERS, allow_pickle=False) as arrays:
            theta = arrays["theta"]
            spread = _spread(notes["spread"], arrays)
            held = {name: arrays[f"{HELD}{place}"] for place, name in enumerate(notes.get("held", ()))}
        return SavedModel(
            theta=theta,
            spread=spread,
            inputs=tuple(notes["inputs"]),
            classes=tuple(notes["classes"]),
            unused=tuple(notes["unused"]),
            learned=dict(notes["learned"]),
            level=notes["level"],
            residual_variance=notes["residual_variance"],
            code=notes["code_sha256"],
            code_folder=notes["code_folder"],
            group_by=tuple(notes.get("group_by", ())),
            held=held,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise unusable(folder, f"what it saved of the model cannot be read ({type(error).__name__})") from None


def _spread(told: dict[str, Any] | None, arrays: Any) -> Spread | None:
    if told is None:
        return None
    if told["kind"] == "normal":
        return NormalSpread(half=arrays["spread"], dof=told["dof"])
    return ResampledSpread(theta=arrays["spread"], dof=told["dof"])


def unusable(
    folder: Path, why: str, way_out: str = "give the folder of a run that `fitkit train` saved"
) -> SavedRunFault:
    """Return that a run cannot be used, and why."""
    return SavedRunFault(Diagnostic(code="E901", message=f"the run `{folder}` cannot be used: {why}", help=way_out))
