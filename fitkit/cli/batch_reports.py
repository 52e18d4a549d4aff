"""The reports of a batch for machines: files that are asked for, and what GitHub Actions shows."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TextIO, final

from fitkit.batch.outcome import BatchOutcome
from fitkit.batch.summary import BatchSummary
from fitkit.cli.terminal import tell
from fitkit.errors import FitkitError
from fitkit.run.folder import told
from fitkit.run.report_file import check_report, write_report


@final
class BatchReports:
    """The files, looked for before the work begins: a batch of an hour must not end in a mistyped folder.

    Args:
        results: the file of JSON lines, or None.
        junit: the file of the JUnit document, or None.
        markdown: the file of the Markdown page, or None.

    Raises:
        FileSystemFault: a file cannot be written there.
    """

    def __init__(self, *, results: str | None, junit: str | None, markdown: str | None) -> None:
        self._junit, self._markdown, self._lines = junit, markdown, results
        self._results: TextIO | None = None
        for path in (junit, markdown, results):
            if path is not None:
                check_report(path)

    def begin(self) -> None:
        """Open what is written as fits end.

        Raises:
            FileSystemFault: the disk refuses.
        """
        if self._lines is not None:
            with told(Path(self._lines), "name another file for `--results`"):
                self._results = Path(self._lines).open("w", encoding="utf-8")  # noqa: SIM115 - closed by `finish`

    def add(self, outcome: BatchOutcome) -> None:
        """Write what is written as fits end.

        Raises:
            FileSystemFault: the disk refuses.
        """
        if self._results is not None:
            with told(Path(self._results.name), "name another file for `--results`"):
                self._results.write(json.dumps(outcome.line, allow_nan=False) + "\n")
                self._results.flush()

    def finish(self, summary: BatchSummary, exit_code: int) -> list[int]:
        """Write what is written at the end; tell what cannot be, and return its exit codes."""
        from fitkit.batch import junit, markdown

        codes = []
        if self._results is not None:
            with suppress(OSError):  # of a full disk: `add` has told it of the line that is lost
                self._results.close()
        if self._junit is not None:
            codes += _written(self._junit, junit.render(summary))
        if self._markdown is not None:
            codes += _written(self._markdown, markdown.render(summary, exit_code))
        if os.environ.get("GITHUB_ACTIONS") == "true":
            _show_on_github(summary, exit_code)
        return codes


def _written(path: str, text: str) -> list[int]:
    try:
        write_report(path, text)
    except FitkitError as error:
        tell(error.render())
        return [int(error.exit_code)]
    return []


def _show_on_github(summary: BatchSummary, exit_code: int) -> None:
    from fitkit.batch.github import annotation_lines, step_summary
    from fitkit.batch.markdown import render

    for line in annotation_lines(summary, os.environ):
        tell(line)
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if place:
        try:
            with Path(place).open("a", encoding="utf-8") as stream:
                stream.write(step_summary(render(summary, exit_code)))
        except OSError as error:
            tell(f"the summary of the step cannot be written: {error.strerror or error}")
