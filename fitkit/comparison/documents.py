"""Results that were saved: of a run, of a folder of runs, or of a batch, one JSON document or a line for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from fitkit.comparison.record import refuse_constant
from fitkit.errors import Diagnostic, SavedRunFault

SCHEMA: Final = "fitkit.result/1"
_RESULT: Final = "result.json"


def read_documents(path: str) -> dict[str, dict[str, Any]]:
    """Return the results by the names of their fits, at least one.

    Args:
        path: the folder of a run, a folder of such folders, a `result.json`, or a file with a result on each line.

    Raises:
        SavedRunFault: there are none, or they cannot be read.
    """
    place = Path(path)
    files = [place]
    if place.is_dir():
        files = [place / _RESULT] if (place / _RESULT).is_file() else sorted(place.glob(f"*/{_RESULT}"))
        if not files:
            raise unusable(path, f"there is no `{_RESULT}` in it")
    found = [document for file in files for document in _documents(file, path)]
    if not found:
        raise unusable(path, "it is empty")
    return {str(document["name"] or document["path"]): document for document in found}


def _documents(file: Path, shown: str) -> list[dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise unusable(shown, "it is not there") from None
    except OSError as error:
        raise unusable(shown, f"it cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise unusable(shown, "it is no text") from None
    parts = [text] if _is_document(text) else [line for line in text.splitlines() if line.strip()]
    found = []
    for number, part in enumerate(parts, 1):
        try:
            document = json.loads(part, parse_constant=refuse_constant)
        except ValueError as error:
            raise unusable(shown, f"line {number} is no JSON ({error})") from None
        schema = document.get("schema") if isinstance(document, dict) else None
        if schema != SCHEMA:
            raise unusable(shown, f"a result has the schema `{SCHEMA}`, and line {number} has {_spelled(schema)}")
        found.append(document)
    return found


def _is_document(text: str) -> bool:
    """Return whether a text is one JSON document, on as many lines as it may be."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _spelled(schema: object) -> str:
    return f"`{schema}`" if isinstance(schema, str) else "none"


def unusable(path: str, why: str) -> SavedRunFault:
    """Return that a saved result cannot be used, and why."""
    message = f"the run `{path}` cannot be used: {why}"
    way_out = "give the folder of a run that `fitkit train` saved, its `result.json`, or a file of `batch --results`"
    return SavedRunFault(Diagnostic(code="E901", message=message, file=path, help=way_out))
