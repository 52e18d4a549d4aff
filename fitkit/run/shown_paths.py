"""Files of a python model as the user named them: beside the config, wherever the machine keeps it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from fitkit.gradient_check import GradientReport


def with_shown_paths(report: GradientReport, base: Path) -> GradientReport:
    """Return the report with files in the config's folder as seen from where the command was started.

    Args:
        report: with the files as Python has them, which are absolute.
        base: the config's folder, as the user named it.
    """
    real = os.path.realpath(base) + os.sep
    shown = "" if base == Path() else f"{base}{os.sep}"

    def told(text: str) -> str:
        return text.replace(real, shown)

    return replace(
        report,
        rules=tuple(
            replace(rule, file=None if rule.file is None else told(rule.file), note=told(rule.note))
            for rule in report.rules
        ),
        findings=tuple(replace(finding, message=told(finding.message)) for finding in report.findings),
        checks=tuple(replace(check, note=told(check.note)) for check in report.checks),
        notes=tuple(map(told, report.notes)),
    )
