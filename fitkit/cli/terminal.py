"""What the terminal can show."""

from __future__ import annotations

import os
import shutil
import sys

from fitkit.reports.text import TextStyle


def text_style(*, verbose: bool = False) -> TextStyle:
    """Return how text on standard output may look: colour only on a terminal that wants it, 80 columns in a pipe."""
    terminal = sys.stdout.isatty()
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return TextStyle(
        width=max(40, min(120, shutil.get_terminal_size((80, 24)).columns)) if terminal else 80,
        color=terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb",
        unicode=encoding.startswith("utf"),
        verbose=verbose,
    )
