"""The text report as a pure function of a result: golden pages in every style, and lines that fit any page."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fitkit.reports.correlation import correlation_lines
from fitkit.reports.text import TextStyle, render
from fitkit.result import (
    EvidenceSummary,
    FitSummary,
    FittedParameter,
    LossSummary,
    Result,
    Seconds,
    Status,
    UncertaintySummary,
)

GOLDEN = Path(__file__).parent / "golden"
COLOR = re.compile(r"\x1b\[[0-9;]*m")

RESULT = Result(
    name="decay",
    path="decay.yaml",
    status=Status.CONVERGED,
    exit_code=0,
    reason="gradient_small",
    message="Converged in 7 steps: the largest cosine between the residual and a column of its Jacobian is 2.5e-12.",
    parameters={
        "amplitude": FittedParameter(value=200.86695, error=5.348, interval=(190.03, 211.7), start=100, digits=11.2),
        "rate": FittedParameter(
            value=0.32499658, error=0.01325, interval=(0.29816, 0.35184), start=1, min=0, max=10, digits=11.0
        ),
        "background": FittedParameter(value=20, start=5, max=20, flags=("at_bound",)),
        "half_life": FittedParameter(
            value=2.1327825, error=0.08695, interval=(1.9566, 2.309), tied="log(2) / rate", flags=("tied",)
        ),
        "shift": FittedParameter(value=0, start=0, fixed=True, flags=("fixed",)),
    },
    loss=LossSummary(kind="mse", initial=2683.4666, final=55.354689),
    fit=FitSummary(rows=40, free_parameters=3, dof=37, rss=2214.188, r_squared=0.9778617),
    evidence=EvidenceSummary(optimality=1.12e-11, smallest_eigenvalue=0.352, condition=2.16, minimum="strict"),
    uncertainty=UncertaintySummary(
        kind="covariance",
        status="approximate",
        message="Gauss-Newton, scale from the residuals; parameters at a bound are held there",
        level=0.95,
        names=("amplitude", "rate"),
        correlation=np.array([[1.0, 0.9477], [0.9477, 1.0]]),
    ),
    optimizer={"kind": "lm", "why": "a smooth loss of residuals"},
    steps=7,
    evaluations=8,
    seconds=Seconds(compile=0.16, run=0.111, total=0.97),
    warnings=("nearly collinear: rate and amplitude (+0.9477); the data hardly tell them apart",),
    provenance={"fitkit": "0.1.0", "jax": "0.10.2", "device": "cpu", "precision": "float64", "seed": 0,
                "data_sha256": "0123456789abcdef" * 4, "code_sha256": None},
)  # fmt: skip


def golden(name: str, text: str) -> None:
    """Compare with a page of `tests/golden`; UPDATE_GOLDEN=1 writes it anew, to be read before it is kept."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "style"),
    [
        ("report_plain.txt", TextStyle()),
        ("report_ascii.txt", TextStyle(unicode=False)),
        ("report_color.txt", TextStyle(color=True)),
        ("report_verbose.txt", TextStyle(verbose=True)),
        ("report_narrow.txt", TextStyle(width=44, verbose=True)),
    ],
)
def test_golden_pages(name: str, style: TextStyle) -> None:
    golden(name, render(RESULT, style) + "\n")


def test_colour_changes_no_word_and_ascii_is_ascii() -> None:
    plain, colored, ascii_only = (
        render(RESULT, style) for style in (TextStyle(), TextStyle(color=True), TextStyle(unicode=False))
    )
    assert "\x1b" not in plain
    assert "\n".join(line.rstrip() for line in COLOR.sub("", colored).splitlines()) == plain
    assert ascii_only.isascii()


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("length", [3, 17, 60])
@pytest.mark.parametrize("count", [1, 30])
def test_no_line_is_wider_than_the_page(width: int, verbose: bool, length: int, count: int) -> None:  # noqa: FBT001
    names = tuple(f"{i:02}".join(("p" * length, "q")) for i in range(count))
    parameter = FittedParameter(
        value=-1.2345678e-100, error=1.234e-100, interval=(-1.2345e-100, 1.2345e-100), min=-123456.789, max=1e300,
        flags=("at_bound", "not_identified"),
    )  # fmt: skip
    result = replace(
        RESULT,
        message="word " * 60,
        parameters=dict.fromkeys(names, parameter),
        uncertainty=UncertaintySummary(
            kind="covariance", status="accurate", message="m" * 200, level=0.95, names=names,
            correlation=np.full((count, count), -0.99),
        ),
        warnings=("an unbroken word: " + "w" * 300,),
    )  # fmt: skip
    text = render(result, TextStyle(width=width, verbose=verbose))
    assert max(map(len, text.splitlines())) <= width
    assert text.count("p") >= count * length, "names are folded, never cut"
    assert text.count("w") >= 300


def test_an_interval_shows_its_width_however_narrow() -> None:
    narrow = FittedParameter(value=1234567.125, error=1e-3, interval=(1234567.123, 1234567.127))
    text = render(replace(RESULT, parameters={"a": narrow}), TextStyle())
    low, high = (float(x) for x in re.findall(r"\[([\d.]+), ([\d.]+)\]", text)[0])
    assert high - low == pytest.approx(0.004, rel=0.05)
    assert "1234567.125" in text


@pytest.mark.parametrize(
    ("steps", "evaluations", "rows", "free", "dof", "expected"),
    [
        (1, 2, 1, 1, 0, ("1 step, 2 evaluations", "1 row, 1 free parameter, 0 degrees of freedom")),
        (0, 1, 3, 2, 1, ("0 steps, 1 evaluation", "3 rows, 2 free parameters, 1 degree of freedom")),
    ],
)
def test_one_is_singular(
    steps: int, evaluations: int, rows: int, free: int, dof: int, expected: tuple[str, str]
) -> None:
    fit = FitSummary(rows=rows, free_parameters=free, dof=dof)
    text = render(replace(RESULT, steps=steps, evaluations=evaluations, fit=fit), TextStyle())
    for part in expected:
        assert part in text


def test_a_loss_that_is_not_finite_is_said_to_be() -> None:
    text = render(replace(RESULT, loss=LossSummary(kind="mse", initial=1.5, final=None)), TextStyle(unicode=False))
    assert "1.5 -> not finite (mse)" in text


@pytest.mark.parametrize("count", [2, 5, 12])
@pytest.mark.parametrize("length", [1, 9, 50])
def test_the_correlation_matrix_holds_every_pair_once(count: int, length: int) -> None:
    matrix = np.zeros((count, count))
    numbers = iter(range(1, count * count))
    for i in range(count):
        for j in range(i + 1):
            matrix[i, j] = matrix[j, i] = next(numbers) / 1000
    lines = correlation_lines(tuple(f"{i}{'n' * length}" for i in range(count)), matrix, 80)
    assert max(map(len, lines)) <= 80
    found = re.findall(r"[+-]\d\.\d{4}", "\n".join(lines))
    assert sorted(found) == [f"{k / 1000:+.4f}" for k in range(1, count * (count + 1) // 2 + 1)]
