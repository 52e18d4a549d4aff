"""Two results beside each other: what a tolerance states, that it holds, the baseline's file, and `fitkit compare`."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from command import LINE, here, written
from hypothesis import given
from hypothesis import strategies as st
from test_report_text import RESULT, golden

from fitkit.comparison import Baseline, Estimate, FitRecord, Tolerance, compared, record_of, updated
from fitkit.comparison.baseline import check_writable, covers, name_in, read_baseline
from fitkit.comparison.changes import compare
from fitkit.comparison.tolerance import sigmas
from fitkit.config import load
from fitkit.errors import FileSystemFault, SavedRunFault
from fitkit.reports.baseline_text import render as baseline_page
from fitkit.reports.comparison_text import render as comparison_page
from fitkit.reports.json_document import plain_document
from fitkit.reports.text import TextStyle
from fitkit.run.train import TrainOptions, train

NUMBERS = st.floats(min_value=-1e100, max_value=1e100, allow_nan=False)
ERRORS = st.one_of(st.none(), st.floats(min_value=0, max_value=1e100))


def record(value: float | None = 1.0, error: float | None = 0.1, data: str | None = "a", **more: Any) -> FitRecord:
    return FitRecord(status="converged", parameters={"k": Estimate(value=value, error=error)}, data_sha256=data, **more)


def drifts(before: FitRecord, after: FitRecord, **tolerance: Any) -> list[tuple[str, str]]:
    found = compared({"fit": before}, {"fit": after}, (), Tolerance(**tolerance))
    return [(one.what, one.note) for one in found.drifted.get("fit", ())]


# -- what a tolerance states ------------------------------------------------------------------------------------------------


@given(NUMBERS, ERRORS, ERRORS, st.sampled_from([None, "0.5sigma", "2sigma", "6sigma"]), st.sampled_from("ab"))
def test_nothing_drifts_from_itself(value: float, one: float, other: float, within: str | None, data: str) -> None:
    assert drifts(record(value, one), record(value, other, data), within=within) == []


@pytest.mark.parametrize(
    ("value", "error", "away", "drifted"),
    [
        (2.0, None, 1.9e-6, False),
        (2.0, None, 2.1e-6, True),
        (0.0, 3.0, 2.9e-6, False),  # of no size itself: beside its standard error
        (0.0, 3.0, 3.1e-6, True),
        (0.0, None, 1e-300, True),
    ],
)
def test_numbers_agree_relative_to_themselves_or_their_errors(
    value: float, error: float | None, away: float, drifted: bool  # noqa: FBT001 - a case of the table
) -> None:  # fmt: skip
    for other in (value + away, value - away):
        assert bool(drifts(record(value, error), record(other, error))) is drifted
    assert drifts(record(value, error), record(value + away, error), rtol=0, atol=1.01 * away) == []


@pytest.mark.parametrize("data", ["a", "b"])
def test_rounding_is_no_drift_where_errors_are_rounding_too(data: str) -> None:
    """Wampler's polynomials of whole numbers: the errors of an exact fit are of the size of its last digits."""
    before, after = record(1e-4, 1e-18), record(1e-4 + 1e-17, 2e-18, data)
    assert drifts(before, after, within="2sigma") == []
    assert drifts(before, record(1.0001e-4, 1e-18, data), within="2sigma") != []


def test_on_the_same_data_the_smaller_error_is_the_unit() -> None:
    assert drifts(record(1, 0.1), record(1.19, 0.5), within="2sigma") == []
    ((what, note),) = drifts(record(1, 0.5), record(1.21, 0.1), within="2sigma")
    assert (what, note) == ("parameters.k", "by 2.1 of the smaller standard error on the same data, 2sigma allowed")


def test_fewer_rows_of_one_table_are_other_data() -> None:
    ((_, note),) = drifts(record(1, 0.1, rows=10), record(2, 0.1, rows=9), within="2sigma")
    assert "combined standard errors on other data, 2 allowed" in note


def test_of_one_number_a_level_is_the_number_of_errors_itself() -> None:
    most, combined = Tolerance(within="2sigma").on_other_data((3.0, None), (4.0, None), 1)
    assert most == pytest.approx(2, abs=1e-12)
    assert combined == 5


@pytest.mark.parametrize(("numbers", "dofs"), [(1, (7, 7)), (12, (3, 30)), (300, (None, 5)), (2000, (None, None))])
def test_the_level_is_shared_by_bonferroni_with_welchs_degrees_of_freedom(
    numbers: int, dofs: tuple[int | None, int | None]
) -> None:
    one, other = 0.7, 1.3
    level = 2 * scipy.stats.norm.sf(2.5) / numbers
    share = sum(error**4 / dof for error, dof in zip((one, other), dofs, strict=True) if dof)
    dof = math.floor((one**2 + other**2) ** 2 / share) if share else math.inf
    expected = scipy.stats.t.isf(level / 2, dof) if math.isfinite(dof) else scipy.stats.norm.isf(level / 2)
    most, combined = Tolerance(within="2.5sigma").on_other_data((one, dofs[0]), (other, dofs[1]), numbers)
    assert most == pytest.approx(expected, rel=1e-9)
    assert combined == pytest.approx(math.hypot(one, other), rel=1e-12)


def test_two_means_differ_where_welchs_test_says_so() -> None:
    random = np.random.default_rng(1)
    one, other = random.standard_normal(5), 3 * random.standard_normal(21)
    errors = [(float(np.std(x, ddof=1) / math.sqrt(len(x))), len(x) - 1) for x in (one, other)]
    degrees = float(scipy.stats.ttest_ind(one, other, equal_var=False).df)
    most, _ = Tolerance(within="2sigma").on_other_data(errors[0], errors[1], 1)
    assert most == pytest.approx(scipy.stats.t.isf(scipy.stats.norm.sf(2), math.floor(degrees)), rel=1e-9)


def test_without_an_error_numbers_are_compared() -> None:
    ((_, note),) = drifts(record(1, None), record(1.001, 0.1), within="2sigma")
    assert note == "by 0.001, 1e-06 allowed; without a standard error it is compared by rtol and atol"


def test_on_other_data_an_estimate_at_its_bound_takes_the_error_of_the_other() -> None:
    for one, other in ((None, 0.1), (0.1, None)):
        assert drifts(record(1, one), record(1.2, other, "b"), within="2sigma") == []
        assert drifts(record(1, one), record(1.3, other, "b"), within="2sigma") != []


def test_what_has_only_a_loss_is_not_judged_on_other_data() -> None:
    array = record(None, None, loss=1.0)
    found = compared({"fit": array}, {"fit": record(None, None, "b", loss=2.0)}, (), Tolerance(within="2sigma"))
    assert (found.passed, found.unjudged) == (True, ("fit",))
    assert drifts(array, record(None, None, "a", loss=2.0), within="2sigma") != []
    assert drifts(array, record(None, None, "b", loss=2.0)) != []


def test_what_is_no_difference_of_numbers_drifts_too() -> None:
    before = record()
    assert [what for what, _ in drifts(before, replace(before, status="completed"))] == ["status"]
    assert [what for what, _ in drifts(before, replace(before, parameters={}))] == ["parameters.k"]
    assert [what for what, _ in drifts(replace(before, parameters={}), before)] == ["parameters.k"]
    assert [what for what, _ in drifts(record(None), record(1))] == ["parameters.k"]


def test_arrays_are_compared_by_their_loss() -> None:
    array = record(None, None, loss=1.0)
    assert drifts(array, replace(array, loss=1 + 0.9e-6)) == []
    assert [what for what, _ in drifts(array, replace(array, loss=1 + 1.1e-6))] == ["loss"]
    assert drifts(record(loss=1.0), record(loss=2.0)) == []  # its parameters say all


def test_groups_are_compared_by_their_counts() -> None:
    many = FitRecord(status="converged", loss=1.0, groups={"count": 10, "converged": 10})
    assert [what for what, _ in drifts(many, replace(many, groups={"count": 10, "converged": 9}))] == [
        "groups.converged"
    ]


@pytest.mark.parametrize("text", ["2", "sigma", "0sigma", "7sigma", "-1sigma", "2 sigma", "2sigmas", "nan", 2, None])
def test_a_number_of_standard_errors_has_one_spelling(text: object) -> None:
    with pytest.raises(ValueError, match="2sigma"):
        sigmas(text)


# -- the level holds --------------------------------------------------------------------------------------------------------

X = np.linspace(0, 1, 8)
DESIGN = np.stack([np.ones_like(X), X, X**2], axis=1)
INVERSE = np.linalg.inv(DESIGN.T @ DESIGN)
TRUTH = DESIGN @ np.array([1.0, 2.0, -1.0])


def closed_form(target: Any, data: str) -> FitRecord:
    """Return the least squares parabola and its errors by the normal equations."""
    theta = INVERSE @ DESIGN.T @ target
    variance = float(np.sum((target - DESIGN @ theta) ** 2)) / 5
    errors = np.sqrt(variance * np.diag(INVERSE))
    return FitRecord(
        status="converged", dof=5, data_sha256=data, rows=8,
        parameters={f"c{i}": Estimate(value=float(theta[i]), error=float(errors[i])) for i in range(3)},
    )  # fmt: skip


@pytest.mark.parametrize("batch", [1, 3])
def test_the_chance_of_a_false_alarm_is_that_of_the_whole_batch(batch: int) -> None:
    """By the binomial law: no more often than stated, and not so seldom that the statement would be empty."""
    random = np.random.default_rng(8)
    alarms, trials, level = 0, 1000, 2 * scipy.stats.norm.sf(2)
    for _ in range(trials):
        sides = [
            {str(i): closed_form(TRUTH + 0.3 * random.standard_normal(8), side) for i in range(batch)} for side in "ab"
        ]
        alarms += bool(compared(sides[0], sides[1], (), Tolerance(within="2sigma")).drifted)
    assert scipy.stats.binom.sf(alarms - 1, trials, level) > 1e-3
    assert scipy.stats.binom.sf(alarms - 1, trials, level / 8) < 1e-3


def test_200_refits_of_resampled_data_drift_no_more_often_than_stated(tmp_path: Path) -> None:
    random = np.random.default_rng(200)
    alarms, level = 0, 2 * scipy.stats.norm.sf(2)
    for number in range(200):
        target = TRUTH + 0.3 * random.standard_normal(8)
        config = f"data: {{values: {{x: {X.tolist()}, y: {target.tolist()}}}}}\n"
        config += "model: {kind: polynomial, input: x, target: y, degree: 2}\n"
        source = load(str(written(tmp_path, "fit.yaml", config)))
        result, _ = train(source, TrainOptions(keep=False), time.perf_counter())
        refit = record_of(plain_document(result))
        assert refit.dof == 5
        names = dict(zip(refit.parameters, ("c0", "c1", "c2"), strict=True))
        refit = replace(refit, parameters={names[name]: one for name, one in refit.parameters.items()})
        same = closed_form(target, refit.data_sha256 or "")
        assert drifts(same, refit, within="0.000001sigma") == []  # fitkit's numbers are those of the closed form
        before = closed_form(TRUTH + 0.3 * random.standard_normal(8), f"before {number}")
        alarms += bool(drifts(before, refit, within="2sigma"))
    assert scipy.stats.binom.sf(alarms - 1, 200, level) > 1e-3


# -- the file ---------------------------------------------------------------------------------------------------------------

FITS = {
    "b/two.yaml[seed=1]": record(1 / 3, 0.123456789, None, loss=0.1),
    "a.yaml": FitRecord(
        status="completed", loss=2.5, dof=7, rows=10, data_sha256="f00d", groups={"count": 3, "converged": 2},
        parameters={"z": Estimate(value=-0.0), "é": Estimate(value=1e-300, error=None), "a": Estimate(value=None)},
    ),
}  # fmt: skip


def test_the_file_is_small_sorted_and_reviewable() -> None:
    golden("baseline.json", Baseline(fits=FITS, tolerance=Tolerance(within="2sigma", atol=1e-9)).text())


def test_the_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path, rounded = tmp_path / "b.json", Estimate(value=0.333333333333, error=0.123457)
    for baseline in (Baseline(), Baseline(fits=FITS, tolerance=Tolerance(rtol=0.1, within="1.5sigma"))):
        baseline.write(path)
        found = read_baseline(path)
        assert found.tolerance == baseline.tolerance
        for name, before in baseline.fits.items():
            expected = {**before.parameters, **({"k": rounded} if "two" in name else {})}
            assert found.fits[name] == replace(before, parameters=expected)
        assert [entry.name for entry in tmp_path.iterdir()] == ["b.json"]


def test_the_file_is_replaced_not_written_over(tmp_path: Path) -> None:
    path, link = tmp_path / "b.json", tmp_path / "old.json"
    Baseline(fits=FITS).write(path)
    link.hardlink_to(path)
    Baseline().write(path)
    assert set(read_baseline(link).fits) == set(FITS)  # whoever reads the old file while it is replaced reads all of it


def test_the_order_of_fits_makes_no_difference() -> None:
    assert Baseline(fits=dict(reversed(FITS.items()))).text() == Baseline(fits=FITS).text()


def test_an_interrupted_update_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "b.json"
    Baseline(fits=FITS).write(path)
    before = path.read_bytes()

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Baseline().write(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["b.json"]


def test_a_full_disk_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "b.json"
    Baseline(fits=FITS).write(path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileSystemFault, match="No space left"):
        Baseline().write(path)
    assert set(read_baseline(path).fits) == set(FITS)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "it is not there"),
        ("", "damaged"),
        ("[]", "schema"),
        ('{"schema": "fitkit.baseline/2"}', "schema"),
        ('{"schema": "fitkit.baseline/1", "tolerance": {"rtol": 1, "atol": 0, "within": null}}', "damaged"),
        ('{"schema": "fitkit.baseline/1", "tolerance": {"rtol": -1, "atol": 0, "within": null}, "fits": {}}', "below 0"),
        ('{"schema": "fitkit.baseline/1", "tolerance": {"rtol": 1, "atol": 0, "within": 2}, "fits": {}}', "2sigma"),
        ('{"schema": "fitkit.baseline/1", "tolerance": {"rtol": 1, "atol": 0, "within": null}, "fits": {"a": 3}}', "dam"),
        ('{"schema": "fitkit.baseline/1", "tolerance": {"rtol": "1", "atol": 0, "within": null}, "fits": {}}', "no num"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_baseline_is_refused(tmp_path: Path, text: str | None, why: str) -> None:
    path = tmp_path / "b.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SavedRunFault, match=why) as caught:
        read_baseline(path)
    assert caught.value.exit_code == 9


def test_where_no_file_can_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "absent/b.json"):
        with pytest.raises(FileSystemFault):
            check_writable(place)
    check_writable(tmp_path / "b.json")


@given(NUMBERS, ERRORS)
def test_the_file_has_twelve_digits_of_a_value_or_of_its_error(value: float, error: float | None) -> None:
    entry = json.loads(Baseline(fits={"a": record(value, error)}).text())["fits"]["a"]["parameters"]["k"]
    size = max(abs(value), error or 0.0)
    assert abs(entry["value"] - value) <= 5.01e-12 * size
    assert drifts(record(entry["value"], error), record(value, error), rtol=1e-11) == []
    assert len(repr(entry["value"]).lstrip("-0.").split("e")[0].replace(".", "").rstrip("0")) <= 12


def test_an_update_keeps_what_failed_and_drops_what_is_gone() -> None:
    old = Baseline(fits={"good": record(1), "failed": record(2), "gone": record(3)})
    new = updated(old, {"good": record(4), "new": record(5)}, ["gone"], Tolerance(rtol=0.5))
    assert new.fits == {"good": record(4), "failed": record(2), "new": record(5)}
    assert new.tolerance == Tolerance(rtol=0.5)


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        (record(1 + 0.9e-9, loss=1.0), True),
        (record(1 + 1.1e-9, loss=1.0), False),
        (record(1, 0.1 * (1 + 0.9e-5), loss=1.0), True),
        (record(1, 0.1 * (1 + 1.1e-5), loss=1.0), False),
        (record(1, None, loss=1.0), False),
        (record(loss=1 + 0.9e-9), True),
        (record(loss=1 + 1.1e-9), False),
        (record(data="b", loss=1.0), False),
        (record(loss=1.0, rows=3), False),
        (record(loss=1.0, dof=3), False),
        (replace(record(loss=1.0), status="completed"), False),
        (replace(record(loss=1.0), parameters={}), False),
    ],
)
def test_what_changed_by_rounding_keeps_its_entry(changed: FitRecord, *, kept: bool) -> None:
    old = Baseline(fits={"a": record(loss=1.0)})
    assert (updated(old, {"a": changed}, [], Tolerance()).fits["a"] is old.fits["a"]) is kept


def test_a_difference_that_would_be_drift_is_never_kept() -> None:
    old = Baseline(fits={"a": record(1, None)})
    new = record(1 + 1.1e-11, None)
    assert drifts(record(1, None), new, rtol=1e-11) != []
    assert updated(old, {"a": new}, [], Tolerance(rtol=1e-11)).fits["a"] is new
    assert updated(old, {"a": new}, [], Tolerance()).fits["a"] is old.fits["a"]


def test_of_a_fit_without_residuals_errors_and_loss_are_rounding() -> None:
    old, new = record(3.0, 2e-16, loss=1e-31), record(3.0, 5e-16, loss=7e-31)
    assert updated(Baseline(fits={"a": old}), {"a": new}, [], Tolerance()).fits["a"] is old


def test_fits_are_called_by_the_way_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for config in ("configs/a.yaml", "./configs/a.yaml", str(tmp_path / "configs/a.yaml")):
        assert name_in(Path(), config, "[seed=1]") == "configs/a.yaml[seed=1]"
        assert name_in(Path("baselines"), config) == "../configs/a.yaml"


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("configs", True), ("configs/", True), (".", True), ("configs/a.yaml", True), ("configs/*.yaml", True),
     ("conf", False), ("configs/b.yaml", False), ("configs/sub", False)],
)  # fmt: skip
def test_what_a_batch_means_to_run(asked: str, *, meant: bool) -> None:
    assert covers(Path(), [asked], "configs/a.yaml[seed=1]") is meant


def test_the_page_of_a_baseline() -> None:
    before = {f"configs/{name}.yaml": record(1, 0.1) for name in ("same", "moved", "ended", "resampled")}
    before["configs/network.yaml"] = record(None, None, loss=1.0)
    after = {
        "configs/network.yaml": record(None, None, "b", loss=1.0),
        "configs/same.yaml": record(1.05, 0.1),
        "configs/moved.yaml": record(1.4, 0.1),
        "configs/ended.yaml": replace(record(), status="completed"),
        "configs/resampled.yaml": record(1.5, 0.1, "b"),
        "configs/new.yaml": record(),
    }
    found = compared(before, after, ("configs/gone.yaml",), Tolerance(within="2sigma"))
    assert not found.passed
    page = baseline_page(found, "baseline.json", ("configs/broken.yaml",))
    calm = baseline_page(compared(before, before, (), Tolerance()), "baseline.json", unicode=False)
    golden("baseline_page.txt", f"{page}\n--\n{calm}\n")


# -- compare ----------------------------------------------------------------------------------------------------------------


def document(**changes: Any) -> dict[str, Any]:
    return plain_document(replace(RESULT, **changes))


def moved() -> dict[str, Any]:
    parameters = {**RESULT.parameters, "rate": replace(RESULT.parameters["rate"], value=0.33824658)}
    del parameters["shift"]
    assert RESULT.loss is not None
    return document(
        parameters=parameters,
        loss=replace(RESULT.loss, final=60.0),
        config={"optimizer": {"kind": "adam"}, "seed": 1},
        provenance={**RESULT.provenance, "data_sha256": "0" * 64, "fitkit": "0.2.0"},
    )


def test_changes_are_told_in_numbers_and_in_errors() -> None:
    (fit,) = compare(("a", "b"), {"x": document()}, {"y": moved()}).fits
    rate = fit.parameters["rate"]
    assert rate.change == pytest.approx(0.01325)
    assert rate.relative == pytest.approx(0.01325 / 0.32499658)
    assert rate.standard_errors == pytest.approx(1 / math.sqrt(2))  # other data
    same = {**moved(), "provenance": document()["provenance"]}
    (fit,) = compare(("a", "b"), {"x": document()}, {"y": same}).fits
    assert fit.parameters["rate"].standard_errors == pytest.approx(1)
    assert fit.parameters["shift"].change is None


def test_keys_of_the_config_that_changed_are_named_from_the_root() -> None:
    before = {"a": {"b": {"c": 1, "d": [1]}, "gone": {"e": 1}}, "seed": 0}
    after = {"a": {"b": {"c": 2, "d": [1]}, "new": {"f": {}}}, "seed": 0}
    (fit,) = compare(("a", "b"), {"x": document(config=before)}, {"x": document(config=after)}).fits
    assert [(one.key, one.before, one.after) for one in fit.config] == [
        ("a.b.c", 1, 2), ("a.gone", {"e": 1}, None), ("a.new", None, {"f": {}}),
    ]  # fmt: skip


def test_groups_are_compared_by_how_many_converged() -> None:
    before, after = ({**document(), "groups": {"count": 12, "converged": n, "failed": 12 - n}} for n in (12, 11))
    found = compare(("a", "b"), {"x": before}, {"x": after})
    assert not found.fits[0].unchanged
    page = comparison_page(found, TextStyle(unicode=False))
    assert "groups  converged: 12 of 12 -> 11 of 12" in page
    same = comparison_page(compare(("a", "b"), {"x": before}, {"x": before}), TextStyle())
    assert "groups  converged: 12 of 12 as before" in same


def test_the_page_of_two_runs() -> None:
    pages = [
        comparison_page(compare(("runs/a", "runs/b"), {"x": document()}, {"x": other}), TextStyle())
        for other in (moved(), document())
    ]
    assert all(len(line) <= 80 for page in pages for line in page.splitlines())
    golden("compare_runs.txt", "\n--\n".join(pages) + "\n")


def test_the_page_of_two_batches() -> None:
    before = {"decay[seed=1]": document(), "same": document(), "gone": document()}
    after = {"decay[seed=1]": moved(), "same": document(), "new": document()}
    page = comparison_page(compare(("before.jsonl", "after.jsonl"), before, after), TextStyle(unicode=False))
    assert all(len(line) <= 80 for line in page.splitlines())
    golden("compare_batches.txt", page + "\n")


@pytest.mark.parametrize("width", [40, 50, 60, 120])
def test_no_number_is_cut_on_any_page(width: int) -> None:
    before = {"decay[learning_rate=0.001,seed=1]": document(), "y": document()}
    after = {"decay[learning_rate=0.001,seed=1]": moved(), "z": document()}
    one = comparison_page(compare(("a", "b"), {"x": document()}, {"x": moved()}), TextStyle(width=width))
    many = comparison_page(compare(("a", "b"), before, after), TextStyle(width=width))
    assert all(len(line) <= width for line in (one + many).splitlines())
    assert "0.33824658" in one
    assert "+0.707" in one
    assert "most changed" in many


def test_runs_folders_and_files_of_lines_are_read(tmp_path: Path) -> None:
    run = here("train", written(tmp_path, "line.yaml", LINE), "--out", tmp_path / "runs/line", "--quiet")
    assert run.code == 0
    saved = tmp_path / "runs/line/result.json"
    line = json.dumps(json.loads(saved.read_text()))
    lines = written(tmp_path, "lines.jsonl", line + "\n\n" + line.replace('"line"', '"other"') + "\n")
    for one, other, count in ((saved, saved.parent, 1), (saved.parent.parent, lines, 1), (lines, lines, 2)):
        done = here("compare", one, other, "--json")
        found = json.loads(done.out)
        assert (done.code, done.err) == (0, "")
        assert (found["schema"], len(found["fits"])) == ("fitkit.comparison/1", count)
        assert all(fit["unchanged"] and fit["same_data"] for fit in found["fits"])
    assert json.loads(here("compare", saved, lines, "--json").out)["new"] == ["other"]
    text = here("compare", saved, lines)
    assert "new   other" in text.out


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "it is not there"),
        ("", "it is empty"),
        ("{", "line 1 is no JSON"),
        ("3", "has none"),
        ('{"schema": "fitkit.result/1", "name": NaN}', "NaN is no number of JSON"),
        ('{"schema": "fitkit.check_grad/1"}', "line 1 has `fitkit.check_grad/1`"),
        ('{"schema": "fitkit.result/1", "name": "a", "path": "a"}', "is damaged"),
        (b"\xff\xfe\x00", "is no text"),
    ],
)
def test_what_is_no_result_is_9(tmp_path: Path, text: str | bytes | None, why: str) -> None:
    path = tmp_path / "r.json"
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    done = here("compare", path, path)
    assert (done.code, done.out) == (9, "")
    assert why in done.err
    assert here("compare", tmp_path, tmp_path / "nix").code == 9


def test_one_run_alone_is_a_usage_error() -> None:
    assert here("compare", "runs/a").code == 2
