"""Progress: nothing for what ends at once, a plain line every few seconds in a log, a live line on a terminal."""

from __future__ import annotations

import io

import pytest

from fitkit import progress
from fitkit.grouped import GroupProgress
from fitkit.minimize import HistoryRow
from fitkit.progress import Progress


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def row(step: int, optimality: float = float("nan")) -> HistoryRow:
    return HistoryRow(step=step, loss=2.5, optimality=optimality, change=0.0)


def test_a_log_has_a_line_every_five_seconds(clock: Clock) -> None:
    stream = io.StringIO()
    shown = Progress(stream, live=False)
    for step in range(961):  # 120 s in eighths, which binary fractions hold
        shown.show(row(step))
        clock.now += 0.125
    shown.close()
    lines = stream.getvalue().splitlines()
    assert 20 <= len(lines) <= 24
    assert all("\x1b" not in line and "\r" not in line for line in lines)
    assert lines[0] == "step 40  loss 2.5  5.0 s"


def test_what_ends_at_once_shows_nothing(clock: Clock) -> None:
    for live in (False, True):
        stream = io.StringIO()
        shown = Progress(stream, live=live)
        for step in range(100):
            shown.show(row(step))
            clock.now += 0.004
        shown.close()
        assert stream.getvalue() == ""


def test_the_slope_is_shown_where_it_is_known(clock: Clock) -> None:
    stream = io.StringIO()
    shown = Progress(stream, live=False)
    clock.now += 6
    shown.show(row(7, 1.5e-3))
    assert stream.getvalue() == "step 7  loss 2.5  slope 1.5e-03  6.0 s\n"


def test_a_reader_that_went_away_stops_no_fit(clock: Clock) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(text)

    shown = Progress(Gone(), live=False)
    clock.now += 6
    shown.show(row(1))
    shown.close()


def test_many_fits_show_their_pace_and_the_time_left(clock: Clock) -> None:
    stream = io.StringIO()
    shown = Progress(stream, live=False)
    for done in range(0, 4_001, 25):  # 200 fits a second
        shown.show_groups(GroupProgress(done=done, total=4_000, alone=done >= 3_000))
        clock.now += 0.125
    shown.close()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "1,000 of 4,000 groups  200 fits/s  15 s left"
    assert lines[2] == "3,000 of 4,000 groups  200 fits/s  5 s left  (the last, one by one)"
    assert 3 <= len(lines) <= 4


@pytest.mark.parametrize(
    ("left", "words"), [(90, "1 min 30 s left"), (3_599, "59 min 59 s left"), (7_260, "2 h 1 min left")]
)
def test_long_times_are_told_as_people_say_them(clock: Clock, left: int, words: str) -> None:
    stream = io.StringIO()
    shown = Progress(stream, live=False)
    shown.show_groups(GroupProgress(done=0, total=left + 10))
    clock.now += 10
    shown.show_groups(GroupProgress(done=10, total=left + 10))
    assert stream.getvalue().endswith(f"1 fits/s  {words}\n")
