"""A baseline: what fits once gave, in a small sorted file that people review and keep with the configs.

The same fits give the same bytes: there are no times and no absolute paths in it, and fits are called by the paths of their
configs from the folder of the file.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final, final

from fitkit.comparison.record import Estimate, FitRecord, finite, refuse_constant
from fitkit.comparison.tolerance import LEAST_RTOL, Tolerance, sigmas
from fitkit.errors import Diagnostic, FileSystemFault, SavedRunFault

SCHEMA: Final = "fitkit.baseline/1"
DIGITS: Final = 12
"""Of values in the file, counted from the value's first digit or its standard error's, whichever is larger."""
KEPT: Final = 1e-9
"""The relative difference up to which an entry is kept as it is, unless drift is told from less."""
START_ANEW: Final = "`--update-baseline` writes a new one where there is none"


@final
@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What fits once gave, by name."""

    fits: Mapping[str, FitRecord] = field(default_factory=dict)
    tolerance: Tolerance = field(default_factory=Tolerance)
    """How much they may differ from it, where the command line says nothing else."""

    def text(self) -> str:
        """Return the text of the file: a line for each parameter, everything sorted."""
        lines = [
            f'  "schema": {_json(SCHEMA)}',
            f'  "tolerance": {_json(asdict(self.tolerance))}',
            f'  "fits": {self._fits()}',
        ]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def _fits(self) -> str:
        return _map((f"    {_json(name)}: {_entry(record)}" for name, record in sorted(self.fits.items())), "  ")

    def write(self, path: Path) -> None:
        """Write the file whole, or leave the old one as it is.

        Raises:
            FileSystemFault: the disk refuses.
        """
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as stream:
                stream.write(self.text().encode("utf-8", errors="backslashreplace"))
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        except OSError as error:
            raise _unwritable(path, error) from None
        finally:
            partial.unlink(missing_ok=True)


def read_baseline(path: Path) -> Baseline:
    """Return the baseline in a file.

    Raises:
        SavedRunFault: it is not there, or is none.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse_constant)
        if not isinstance(entries, dict) or entries.get("schema") != SCHEMA:
            raise _unusable(path, f"its schema is not `{SCHEMA}`")
        return Baseline(
            fits={name: _record(entry) for name, entry in entries["fits"].items()},
            tolerance=_tolerance(entries["tolerance"]),
        )
    except FileNotFoundError:
        raise _unusable(path, "it is not there") from None
    except OSError as error:
        raise _unusable(path, f"it cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unusable(path, f"it is damaged ({type(error).__name__}: {error})") from None


def updated(old: Baseline, good: Mapping[str, FitRecord], gone: Iterable[str], tolerance: Tolerance) -> Baseline:
    """Return the baseline with the fits that are `good`; what failed keeps what it had, what is gone goes.

    A fit that is what it was but for rounding keeps its old entry: last digits depend on the processor, and on which of its
    programs a process has compiled for the fits before.
    """
    left_out, rounding = {*gone}, min(KEPT, tolerance.rtol)
    kept = {name: record for name, record in old.fits.items() if name not in left_out}
    changed = {name: one for name, one in good.items() if name not in kept or not kept[name].agrees(one, rounding)}
    return replace(old, fits={**kept, **changed}, tolerance=tolerance)


def check_writable(path: Path) -> None:
    """Refuse a place where no file can be written, before the work is done.

    Raises:
        FileSystemFault: it is a folder, or its folder is missing or read-only.
    """
    if path.is_dir():
        raise _unwritable(path, IsADirectoryError(21, "it is a folder"))
    if not path.parent.is_dir():
        raise _unwritable(path, FileNotFoundError(2, f"there is no folder `{path.parent}`"))
    if not os.access(path.parent, os.W_OK):
        raise _unwritable(path, PermissionError(13, f"the folder `{path.parent}` may not be written"))


def name_in(folder: Path, config: str, label: str = "") -> str:
    """Return what a baseline in `folder` calls the fit of a config, with the label of its matrix: `[seed=1]`."""
    way = os.path.relpath(os.path.abspath(config), os.path.abspath(folder))  # noqa: PTH100 - links stay as they are written
    return way.replace(os.sep, "/") + label


def config_of(name: str) -> str:
    """Return the config of the fit that a baseline calls `name`: its path may have brackets of its own."""
    found = re.fullmatch(r"(.*?\.ya?ml)(\[.*\])?", name, re.DOTALL)
    return name.partition("[")[0] if found is None else found[1]


def covers(folder: Path, asked: Iterable[str], name: str) -> bool:
    """Return whether the files, folders and globs of a batch mean the config of the fit that a baseline calls `name`."""
    config = config_of(name)
    ways = [name_in(folder, path) for path in asked]
    return any(config == way or way == "." or config.startswith(f"{way}/") or fnmatch(config, way) for way in ways)


# -- the file ---------------------------------------------------------------------------------------------------------------


def _entry(record: FitRecord) -> str:
    """Return the text of a fit: errors to six digits, which is more than they are known to."""
    values: dict[str, Any] = {
        "data_sha256": record.data_sha256,
        "dof": record.dof,
        "groups": record.groups,
        "loss": _to_digits(record.loss, None),
        "rows": record.rows,
        "status": record.status,
    }
    lines = [f"      {_json(key)}: {_json(value)}" for key, value in values.items() if value is not None]
    parameters = (
        f"        {_json(name)}: {_json({'value': _to_digits(one.value, one.error), 'error': _rounded(one.error)})}"
        for name, one in sorted(record.parameters.items())
    )
    lines.append(f'      "parameters": {_map(parameters, "      ")}')
    return _map(sorted(lines), "    ")


def _map(lines: Iterable[str], indent: str) -> str:
    """Return the text of a map that is closed at `indent`, with an entry on each line."""
    inside = ",\n".join(lines)
    return f"{{\n{inside}\n{indent}}}" if inside else "{}"


def _to_digits(value: float | None, error: float | None) -> float | None:
    """Return a value to the digits that the file has: what is small beside the error is rounding, and is 0."""
    if not value:
        return value
    size = max(abs(value), error or 0.0)
    digits = DIGITS + math.floor(math.log10(abs(value))) - math.floor(math.log10(size))
    return float(f"{value:.{digits}g}") if digits > 0 else 0.0


def _rounded(error: float | None) -> float | None:
    return None if error is None else float(f"{error:.6g}")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=False)


def _record(entry: Any) -> FitRecord:
    dof, rows, groups = entry.get("dof"), entry.get("rows"), entry.get("groups")
    return FitRecord(
        status=str(entry["status"]),
        loss=finite(entry.get("loss")),
        dof=None if dof is None else int(dof),
        data_sha256=entry.get("data_sha256"),
        rows=None if rows is None else int(rows),
        parameters={
            name: Estimate(value=finite(one["value"]), error=finite(one["error"]))
            for name, one in entry["parameters"].items()
        },
        groups=None if groups is None else {key: int(groups[key]) for key in ("count", "converged")},
    )


def _tolerance(entry: Any) -> Tolerance:
    rtol, atol, within = finite(entry["rtol"]), finite(entry["atol"]), entry["within"]
    if rtol is None or atol is None or rtol < LEAST_RTOL or atol < 0:
        raise ValueError(f"a tolerance is no number, below 0, or a relative one below {LEAST_RTOL:g}")
    return Tolerance(rtol=rtol, atol=atol, within=None if within is None else sigmas(within))


def _unusable(path: Path, why: str) -> SavedRunFault:
    message = f"the baseline `{path}` cannot be used: {why}"
    return SavedRunFault(Diagnostic(code="E903", message=message, file=str(path), help=START_ANEW))


def _unwritable(path: Path, error: OSError) -> FileSystemFault:
    message = f"the baseline `{path}` cannot be written: {error.strerror or error}"
    return FileSystemFault(
        Diagnostic(code="E803", message=message, file=str(path), help="name a file in a folder of yours")
    )
