"""What a person sees of many fits: golden pages of a result, and bars that tell the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_report_text import golden

from fitkit.reports.groups import BLOCKS, histogram
from fitkit.reports.text import TextStyle, render
from fitkit.result import (
    Distribution,
    FitSummary,
    FittedParameter,
    GroupsLeft,
    GroupsSummary,
    LossSummary,
    OneGroup,
    Result,
    Seconds,
    Status,
    UncertaintySummary,
)

PEAK = Distribution(
    quantiles=(-2.5, -0.67, 0.01, 0.68, 3.1),
    edges=(-2.5, 3.1),
    histogram=(1, 2, 8, 30, 90, 210, 400, 700, 900, 1000, 980, 900, 720, 500, 300, 170, 80, 30, 12, 5, 2, 1, 0, 1),
    error=0.0512,
    at_bound=0,
)
WIDE = replace(
    PEAK, quantiles=(1.2e-7, 3.25e-6, 4.5e-6, 1.25e-5, 9.9e-4), edges=(1.2e-7, 4.9e-5), histogram=(9,) * 24, error=None
)
MANY = GroupsSummary(
    by=("plate", "well"),
    count=10_000,
    converged=9_963,
    failed=37,
    file="groups.csv",
    left=(
        GroupsLeft(
            reason="too_few_rows", status=Status.FAILED, count=36, first=("p1/A3", "p1/B7", "p2/C1", "p2/C2", "p3/H12"),
            message="2 rows cannot determine 3 free parameters.",
        ),
        GroupsLeft(
            reason="not_identified", status=Status.NOT_CONVERGED, count=1, first=("p9/G8",),
            message="Not identified: the loss does not change along a combination of height, width.",
        ),
    ),
    distributions={"height": PEAK, "width": WIDE},
    each=(),
    alone=52,
    sizes=(2, 50),
)  # fmt: skip
RESULT = Result(
    name="plates",
    path="plates.yaml",
    status=Status.NOT_CONVERGED,
    exit_code=4,
    reason="groups_failed",
    message="Not converged: 37 of 10,000 groups failed, 9,963 converged.",
    parameters={"k": FittedParameter(value=1.25, error=0.0012, interval=(1.2476, 1.2524), start=1)},
    loss=LossSummary(kind="mse", initial=None, final=0.040012),
    fit=FitSummary(rows=498_000, free_parameters=19_965, dof=477_000, rss=19_925.9),
    uncertainty=UncertaintySummary(
        kind="covariance", status="accurate", message="of all groups together", level=0.95, names=("k",),
        correlation=np.ones((1, 1)),
    ),
    groups=MANY,
    optimizer={"kind": "lm", "why": "a smooth loss of residuals", "solver": "batched Levenberg-Marquardt"},
    steps=31,
    evaluations=75_300,
    seconds=Seconds(compile=0.61, run=0.42, total=2.21),
    warnings=("`width` is at its bound in 12 groups",),
)  # fmt: skip
FEW = replace(
    RESULT,
    parameters={},
    groups=replace(
        MANY, by=("Tree",), count=2, converged=1, failed=1, left=(), alone=0, sizes=(7, 7),
        each=(
            OneGroup(name="1", status=Status.CONVERGED, reason="step_small",
                     values={"Asym": 154.163, "xmid": 627.194}, errors={"Asym": 11.04, "xmid": None}),
            OneGroup(name="2", status=Status.FAILED, reason="no_rows",
                     values={"Asym": None, "xmid": None}, errors={"Asym": None, "xmid": None}),
        ),
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "result", "style"),
    [
        ("groups_plain.txt", RESULT, TextStyle()),
        ("groups_ascii.txt", RESULT, TextStyle(unicode=False)),
        ("groups_narrow.txt", RESULT, TextStyle(width=50)),
        ("groups_few.txt", FEW, TextStyle()),
    ],
)
def test_the_page(name: str, result: Result, style: TextStyle) -> None:
    text = render(result, style)
    assert all(len(line) <= style.width for line in text.splitlines())
    assert style.unicode or text.isascii()
    golden(name, text + "\n")


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30).filter(any), st.integers(1, 40))
def test_bars_show_what_is_there_and_nothing_else(counts: list[int], width: int) -> None:
    bars = histogram(tuple(counts), width, unicode=True)
    assert len(bars) <= width
    merge = -(-len(counts) // width)
    sums = [sum(counts[begin : begin + merge]) for begin in range(0, len(counts), merge)]
    assert [bar == " " for bar in bars] == [count == 0 for count in sums]
    assert [bar == BLOCKS[-1] for bar, count in zip(bars, sums, strict=True) if count == max(sums)].count(False) == 0
    heights = [BLOCKS.index(bar) for bar in bars]
    assert all(
        (a >= b) or (x < y) for a, x in zip(heights, sums, strict=True) for b, y in zip(heights, sums, strict=True)
    )
