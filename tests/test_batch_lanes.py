"""Fits of a batch side by side in threads: the same outcomes in the same order as one after another."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from batches import LINE, POINTS, python_model
from command import written

from fitkit.batch import BatchEntry, BatchOutcome, plan
from fitkit.batch import lanes as lanes_module
from fitkit.batch.fit import FitSettings
from fitkit.batch.in_process import run_in_process
from fitkit.batch.lanes import lanes_for, run_in_lanes

CURVE = f"{POINTS}parameters: {{slope: 1, offset: 0.5}}\n".replace("slope * x + offset", "slope * log(x + 2) + offset")
ENDLESS = f"{LINE}optimizer: {{kind: sgd, learning_rate: 1e-9, epochs: 1000000000}}\n"


def entries(folder: Path, **texts: str) -> tuple[BatchEntry, ...]:
    for name, text in texts.items():
        written(folder, f"{name}.yaml", text)
    return plan([str(folder)]).entries


def never() -> int:
    return 0


def ignored(entry: BatchEntry, row: Any) -> None:
    del entry, row


def told(outcome: BatchOutcome) -> dict[str, Any]:
    """Return what a fit says, but for times and places in them."""
    document = {key: value for key, value in outcome.document.items() if key not in {"seconds", "provenance"}}
    return document | {"compilations": None}


def test_threads_say_what_one_after_another_says(tmp_path: Path) -> None:
    fits = entries(
        tmp_path,
        a=LINE,
        b=CURVE,
        c=LINE.replace("offset: 0}", "offset: 7}"),
        d=LINE.replace("slope: 1", "slop: 1"),
        e=CURVE,
    )
    lanes_seen: set[str] = set()
    side_by_side = list(
        run_in_lanes(fits, FitSettings(), 3, never, lambda *_: lanes_seen.add(threading.current_thread().name))
    )
    one_by_one = [next(iter(run_in_process([entry], FitSettings(), never, ignored))) for entry in fits]
    assert [told(one) for one in side_by_side] == [told(one) for one in one_by_one]
    assert [one.name for one in side_by_side] == ["a", "b", "c", "d", "e"]
    assert lanes_seen == {"MainThread"}, "what is shown is shown by the thread that asked"


def test_fits_of_one_structure_compile_once_in_whatever_threads_they_are(tmp_path: Path) -> None:
    first, second = (LINE.replace("slope * x", f"slope * {name}(x / 7)") for name in ("sinh", "cosh"))
    fits = entries(tmp_path, a=first, b=first.replace("offset: 0}", "offset: 7}"), c=first, d=second)
    side_by_side = run_in_lanes(fits[:3], FitSettings(), 3, never, ignored)
    compiled = sum(one.document["compilations"] for one in side_by_side)
    alone = next(iter(run_in_process(fits[3:], FitSettings(), never, ignored))).document["compilations"]
    assert compiled == alone > 0


def test_a_fit_that_takes_long_holds_nothing_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "HELD_BACK", 0.05)
    fits = entries(tmp_path, a=ENDLESS, b=LINE, c=CURVE)
    outcomes = list(run_in_lanes(fits, FitSettings(time_limit=2.0), 2, never, ignored))
    assert [(one.name, one.document["reason"]) for one in outcomes] == [
        ("b", "gradient_small"),
        ("c", "gradient_small"),
        ("a", "time_limit"),
    ]


def test_a_signal_ends_what_is_under_way_and_begins_nothing(tmp_path: Path) -> None:
    fits = entries(tmp_path, a=ENDLESS, b=ENDLESS, c=LINE)
    began: list[str] = []
    rows: list[str] = []

    def show(entry: BatchEntry, row: Any) -> None:
        (began if row is None else rows).append(entry.name)

    outcomes = list(run_in_lanes(fits, FitSettings(), 2, lambda: 2 if {*rows} == {"a", "b"} else 0, show))
    ended = {one.name: one.document["status"] for one in outcomes}  # whichever is first: a signal holds nothing back
    assert ended == {"a": "interrupted", "b": "interrupted"}
    assert sorted(began) == ["a", "b"]


def test_who_has_seen_enough_waits_for_no_fit_to_end_by_itself(tmp_path: Path) -> None:
    fits = entries(tmp_path, a=LINE, b=ENDLESS)
    outcomes = run_in_lanes(fits, FitSettings(), 2, never, ignored)
    assert next(iter(outcomes)).name == "a"
    began = time.monotonic()
    outcomes.close()
    assert time.monotonic() - began < 30, "a block of a third of a second, and what a busy machine adds"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lane")]


def test_code_of_the_users_runs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    python_model(tmp_path, "odd")
    swept = LINE + "matrix: {model: [y ~ slope * x + offset, y ~ slope * x**2 + offset]}\n"
    fits = entries(tmp_path, a=LINE, b=LINE, z=swept)
    assert [(entry.path.rpartition("/")[2], entry.runs_code) for entry in fits] == [
        ("a.yaml", False), ("b.yaml", False), ("odd.yaml", True), ("z.yaml", True), ("z.yaml", True),
    ]  # fmt: skip
    threads: dict[str, bool] = {}

    def told_by(entry: BatchEntry, settings: FitSettings, *_: Any) -> BatchOutcome:
        del settings
        threads[entry.name] = threading.current_thread() is threading.main_thread()
        return BatchOutcome(entry=entry, document={}, seconds=0.0)

    monkeypatch.setattr("fitkit.batch.lanes.fit", told_by)
    monkeypatch.setattr("fitkit.batch.in_process.fit", told_by)
    names = [one.name for one in run_in_process(fits, FitSettings(), never, ignored)]
    assert names == [entry.name for entry in fits]
    assert [threads[name] for name in names] == [False, False, True, True, True]


@pytest.mark.parametrize(("platforms", "lanes"), [("cpu", 2), ("cuda,cpu", 1)])
def test_an_accelerator_is_for_one_fit_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platforms: str, lanes: int
) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2})
    assert lanes_for(entries(tmp_path, a=LINE, b=CURVE)) == lanes
