"""What a config expects: the language of intervals and its laws, the verdicts, and how they reach the user."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command import LINE, here, written
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from test_report_text import RESULT, golden

from fitkit.component import describe_fields
from fitkit.config import json_schema, load, resolved
from fitkit.errors import ConfigError, Diagnostic
from fitkit.expectations import Expect, ExpectedMetrics, ExpectedNumber, ExpectedParameter
from fitkit.reports.text import TextStyle, render
from fitkit.result import Expectation, FittedParameter, Result, Status
from fitkit.run.expectations import judged

NUMBERS = st.floats(min_value=-1e100, max_value=1e100, allow_nan=False)
WIDTHS = st.floats(min_value=0, max_value=1e100)


def met(expected: ExpectedNumber, found: float) -> bool:
    return expected.between(found) and expected.near(found, expected.tolerance)


# -- laws of intervals ------------------------------------------------------------------------------------------------------


@given(NUMBERS, WIDTHS, NUMBERS)
def test_an_interval_is_its_own_mirror_image(value: float, atol: float, found: float) -> None:
    mirrored = ExpectedNumber(value=-value, atol=atol)
    assert met(ExpectedNumber(value=value, atol=atol), found) == met(mirrored, -found)


@given(NUMBERS, WIDTHS)
def test_the_ends_as_they_are_written_belong_to_it(value: float, atol: float) -> None:
    expected = ExpectedNumber(value=value, atol=atol)
    assert met(expected, value + atol)
    assert met(expected, value - atol)


@given(NUMBERS, WIDTHS, st.floats(min_value=0, max_value=1))
def test_what_is_nearer_passes_too(value: float, atol: float, share: float) -> None:
    assert met(ExpectedNumber(value=value, atol=atol), value + share * atol)


@given(NUMBERS, st.floats(min_value=0, max_value=1e90), st.floats(min_value=1e-6, max_value=1e6))
def test_what_is_farther_than_rounding_explains_fails(value: float, atol: float, more: float) -> None:
    away = (1 + more) * atol + 4 * math.ulp(abs(value) + atol)
    expected = ExpectedNumber(value=value, atol=atol)
    assert not met(expected, value + away)
    assert not met(expected, value - away)


@given(NUMBERS, st.floats(min_value=0, max_value=1), NUMBERS)
def test_a_relative_tolerance_is_an_absolute_one_of_that_size(value: float, rtol: float, found: float) -> None:
    relative, absolute = ExpectedNumber(value=value, rtol=rtol), ExpectedNumber(value=value, atol=rtol * abs(value))
    assert met(relative, found) == met(absolute, found)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_range_holds_its_ends_and_what_lies_between(one: float, other: float, found: float) -> None:
    low, high = sorted((one, other))
    assert met(ExpectedNumber(min=low, max=high), found) == (
        met(ExpectedNumber(min=low), found) and met(ExpectedNumber(max=high), found)
    )
    assert met(ExpectedNumber(min=low, max=high), low)
    assert met(ExpectedNumber(min=low, max=high), high)


def test_nan_is_nowhere() -> None:
    for expected in (ExpectedNumber(value=0, atol=1e300), ExpectedNumber(min=0), ExpectedNumber(max=0)):
        assert not met(expected, math.nan)


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (ExpectedParameter(value=0.69, atol=0.02), "0.69 +- 0.02"),
        (ExpectedParameter(value=-200, rtol=0.01, atol=1), "-200 +- 3"),
        (ExpectedParameter(value=0.69, within="1.5sigma", max=0.7), "0.69 +- 1.5sigma, <= 0.7"),
        (ExpectedParameter(min=2, max=4), "2 .. 4"),
        (ExpectedParameter(min=2), ">= 2"),
    ],
)
def test_an_interval_in_words(expected: ExpectedParameter, words: str) -> None:
    assert expected.wording == words


# -- verdicts ---------------------------------------------------------------------------------------------------------------

CONFIG = """\
data: {values: {t: [0, 1, 2], y: [1, 2, 3], s: [1, 1, 1]}, sigma: s}
model: y ~ amplitude * exp(-rate * t) + background + shift
parameters: {amplitude: 100, rate: 1, background: {start: 5, max: 20}, shift: {start: 0}, half_life: {equals: log(2) / rate}}
"""


def verdicts(folder: Path, expect: str, result: Result = RESULT) -> Result:
    return judged(result, load(str(written(folder, "fit.yaml", f"{CONFIG}expect: {expect}\n"))))


def only(result: Result) -> Expectation:
    assert len(result.expectations) == 1
    return result.expectations[0]


@pytest.mark.parametrize(
    ("expect", "passed"),
    [
        ("{converged: true}", True),
        ("{converged: 0.99}", True),
        ("{loss: {max: 55.354689}}", True),
        ("{loss: {max: 55.354688}}", False),
        ("{loss: {value: 55, rtol: 0.01}}", True),
        ("{loss: {value: 55, rtol: 0.001}}", False),
        ("{r_squared: {min: 0.97, max: 1}}", True),
        ("{r_squared: {min: 0.98}}", False),
        ("{steps: {max: 7}}", True),
        ("{steps: {max: 6}}", False),
        ("{seconds: {max: 1}}", True),
        ("{seconds: {max: 0.5}}", False),
        ("{metrics: {train: {rmse: {max: 8}}}}", True),
        ("{metrics: {train: {rmse: {max: 7}}}}", False),
        ("{parameters: {rate: {value: 0.32, atol: 0.01}}}", True),
        ("{parameters: {rate: {value: 0.32, atol: 0.001}}}", False),
        ("{parameters: {rate: {min: 0.3, max: 0.4}}}", True),
        ("{parameters: {rate: {min: 0.33}}}", False),
        # 0.32499658 and its error 0.01325: 0.3 is 1.887 errors away
        ("{parameters: {rate: {value: 0.3, within: 1.9sigma}}}", True),
        ("{parameters: {rate: {value: 0.3, within: 1.88sigma}}}", False),
        ("{parameters: {rate: {value: 0.3, within: 1.9sigma, max: 0.32}}}", False),
        # a tied parameter, 2.1327825 with the error 0.08695
        ("{parameters: {half_life: {value: 2.2, within: 1sigma}}}", True),
        ("{parameters: {half_life: {value: 2.3, within: 1sigma}}}", False),
    ],
)  # fmt: skip
def test_a_verdict(tmp_path: Path, expect: str, passed: bool) -> None:  # noqa: FBT001 - a case of the table
    found = verdicts(tmp_path, expect, replace(RESULT, metrics={"train": {"rmse": 7.44}, "validation": {}}))
    assert only(found).passed is passed
    assert found.exit_code == (0 if passed else 6)
    assert [d.code for d in found.errors] == ([] if passed else ["E601"])


def test_how_many_errors_away_is_said(tmp_path: Path) -> None:
    assert only(verdicts(tmp_path, "{parameters: {rate: {value: 0.3, within: 1sigma}}}")).note == "1.89sigma away"


@pytest.mark.parametrize(
    ("status", "flags", "why"),
    [
        (Status.CONVERGED, ("at_bound",), "it is at its bound"),
        (Status.CONVERGED, ("not_identified",), "the data do not identify it"),
        (Status.CONVERGED, ("unused",), "nothing uses it"),
        (Status.COMPLETED, (), "the fit is completed"),
        (Status.NOT_CONVERGED, (), "the fit is not converged"),
        (Status.CONVERGED, (), "Gauss-Newton, scale from the residuals"),
    ],
)  # fmt: skip
def test_without_a_standard_error_within_is_missed_for_a_reason(
    tmp_path: Path, status: Status, flags: tuple[str, ...], why: str
) -> None:
    parameters = {**RESULT.parameters, "background": FittedParameter(value=20, flags=flags)}
    result = replace(RESULT, status=status, parameters=parameters)
    one = only(verdicts(tmp_path, "{parameters: {background: {value: 20, within: 3sigma}}}", result))
    assert not one.passed
    assert one.found == 20
    assert one.note is not None
    assert why in one.note


def test_a_number_that_does_not_exist_is_missed(tmp_path: Path) -> None:
    result = replace(RESULT, loss=None, fit=None, seconds=None, steps=None)
    found = verdicts(
        tmp_path, "{loss: {min: 0}, r_squared: {min: 0}, reduced_chi_square: {min: 0}, steps: {min: 0}}", result
    )
    assert [(one.passed, one.found) for one in found.expectations] == [(False, None)] * 4


@pytest.mark.parametrize(("status", "code"), [("not_converged", 4), ("diverged", 5), ("interrupted", 130)])
def test_what_is_graver_keeps_its_exit_code(tmp_path: Path, status: str, code: int) -> None:
    found = verdicts(tmp_path, "{converged: true}", replace(RESULT, status=Status(status), exit_code=code))
    assert not only(found).passed
    assert found.exit_code == code


def test_epochs_done_are_not_converged(tmp_path: Path) -> None:
    found = verdicts(tmp_path, "{converged: true}", replace(RESULT, status=Status.COMPLETED))
    assert (found.exit_code, only(found).found) == (6, "completed")


def test_an_unmet_expectation_points_at_its_place(tmp_path: Path) -> None:
    (error,) = verdicts(tmp_path, "{parameters: {rate: {max: 0.1}}, loss: {max: 100}}").errors
    assert (error.line, error.column) == (4, 23)
    assert error.message == "`parameters.rate`: expected <= 0.1, found 0.32499658"


# -- the language -----------------------------------------------------------------------------------------------------------


def refused(folder: Path, expect: str, config: str = CONFIG) -> Diagnostic:
    with pytest.raises(ConfigError) as caught:
        load(str(written(folder, "fit.yaml", f"{config}expect: {expect}\n")))
    assert len(caught.value.diagnostics) == 1
    return caught.value.diagnostics[0]


@pytest.mark.parametrize(
    ("expect", "code", "words"),
    [
        ("3", "E108", "must be a map"),
        ("{convergd: true}", "E104", "unknown key `convergd`"),
        ("{converged: false}", "E112", "can never be met"),
        ("{converged: 0}", "E109", "above 0"),
        ("{converged: 1.1}", "E109", "at most 1"),
        ("{converged: yes}", "E108", "`true`, or a share"),
        ("{loss: 3}", "E108", "must be a map"),
        ("{loss: {}}", "E105", "expects nothing"),
        ("{loss: {value: 3}}", "E105", "needs `atol` or `rtol`"),
        ("{loss: {atol: 3}}", "E105", "there is no `value`"),
        ("{loss: {value: 3, atol: -1}}", "E109", "at least 0"),
        ("{loss: {value: 3, within: 2sigma}}", "E104", "unknown key `within`"),
        ("{loss: {min: 2, max: 1}}", "E112", "nothing lies between"),
        ("{loss: {value: 3, atol: 1, max: 1}}", "E112", "nothing within 1 of 3"),
        ("{loss: {min: .nan}}", "E108", "finite"),
        ("{parameters: {rat: {min: 1}}}", "E120", "`rat` is no parameter"),
        ("{parameters: {rate: 1}}", "E108", "must be a map"),
        ("{parameters: {rate: {value: 1, within: 2}}}", "E108", "standard errors"),
        ("{parameters: {rate: {value: 1, within: 2 sigma}}}", "E108", "standard errors"),
        ("{parameters: {rate: {value: 1, within: -2sigma}}}", "E108", "standard errors"),
        ("{parameters: {rate: {value: 1, within: 0sigma}}}", "E109", "above 0"),
        ("{parameters: {rate: {value: 1, within: 2sigma, atol: 1}}}", "E111", "exclude each other"),
        ("{parameters: {rate: {within: 2sigma}}}", "E105", "there is no `value`"),
        ("{metrics: {train: {accurcy: {min: 0.9}}}}", "E120", "unknown metric"),
        ("{metrics: {train: {confusion: {min: 0.9}}}}", "E120", "is a table"),
        ("{metrics: {trian: {}}}", "E104", "unknown key `trian`"),
        ("{metrics: {validation: {rmse: {max: 1}}}}", "E111", "no rows are held out"),
    ],
)  # fmt: skip
def test_nonsense_is_refused(tmp_path: Path, expect: str, code: str, words: str) -> None:
    error = refused(tmp_path, expect)
    assert error.code == code
    assert words in error.message
    assert error.line == 4


@pytest.mark.parametrize(
    ("change", "expect", "code", "words"),
    [
        (("shift: {start: 0}", "shift: {start: 0, fixed: true}"), "{value: 1, within: 2sigma}", "E111", "is fixed"),
        (("sigma: s}", "sigma: s}\nuncertainty: none"), "{value: 1, within: 2sigma}", "E111", "gives none"),
    ],
)
def test_within_needs_errors(tmp_path: Path, change: tuple[str, str], expect: str, code: str, words: str) -> None:
    error = refused(tmp_path, f"{{parameters: {{shift: {expect}}}}}", CONFIG.replace(*change))
    assert (error.code, words in error.message) == (code, True)


def test_an_array_has_no_value_to_expect(tmp_path: Path) -> None:
    config = "data: {values: {x: [1], y: [1]}}\nmodel: {kind: python, function: m.py:f, inputs: [x], target: y}\n"
    error = refused(tmp_path, "{parameters: {w: {min: 0}}}", config + "parameters: {w: {shape: [2], start: 0}}\n")
    assert (error.code, "is an array" in error.message) == ("E122", True)


def test_the_weights_of_a_network_are_arrays(tmp_path: Path) -> None:
    config = "data: {values: {x: [1], y: [1]}}\nmodel: {kind: mlp, inputs: [x], target: y, hidden: [2]}\n\n"
    assert refused(tmp_path, "{parameters: {weight1: {min: 0}}}", config).code == "E122"


@pytest.mark.parametrize("key", ["r_squared: {min: 0}", "reduced_chi_square: {max: 2}", "metrics: {train: {}}"])
def test_an_objective_without_rows_has_no_such_numbers(tmp_path: Path, key: str) -> None:
    error = refused(tmp_path, f"{{{key}}}", "minimize: (a - 1)**2\nparameters: {a: 0}\n")
    assert (error.code, "has none" in error.message) == ("E111", True)


def test_reduced_chi_square_needs_sigma(tmp_path: Path) -> None:
    assert refused(tmp_path, "{reduced_chi_square: {max: 2}}", LINE).code == "E111"


def test_the_schema_knows_the_section() -> None:
    validator = Draft202012Validator(json_schema())

    def fits(expect: Any) -> bool:
        return not list(validator.iter_errors({"expect": expect}))

    assert fits({"converged": True, "loss": {"max": 1}, "parameters": {"a": {"value": 1, "within": "2sigma"}}})
    assert fits({"converged": 0.99, "metrics": {"train": {"rmse": {"max": 1}}}})
    assert not fits({"converged": 2})
    assert not fits({"loss": {"within": "2sigma"}})
    assert not fits({"parameters": {"a": {"within": "2"}}})
    assert not fits({"metrics": {"test": {}}})


def test_the_section_survives_being_written_out(tmp_path: Path) -> None:
    expect = "{converged: 0.99, parameters: {rate: {value: 1/3, within: 2sigma}}, metrics: {train: {rmse: {max: 1}}}}"
    source = load(str(written(tmp_path, "fit.yaml", f"{CONFIG}expect: {expect}\n")))
    again = load(str(written(tmp_path, "again.yaml", resolved(source))))
    assert again.config.expect == source.config.expect


def test_every_key_is_listed_with_its_meaning() -> None:
    done = here("list", "expect")
    flat = " ".join(done.out.split())
    for cls in (Expect, ExpectedNumber, ExpectedParameter, ExpectedMetrics):
        for key in describe_fields(cls):
            assert key.documentation
            assert f"{key.name} (default {key.default}): {key.documentation}" in flat


# -- the command ------------------------------------------------------------------------------------------------------------

MET = "expect: {converged: true, parameters: {slope: {value: 0.8, atol: 1e-9}}, loss: {value: 0.72, rtol: 1e-9}}\n"


def test_train_says_what_is_met(tmp_path: Path) -> None:
    done = here("train", written(tmp_path, "line.yaml", LINE + MET), "--no-save", "--json")
    document = json.loads(done.out)
    assert (done.code, done.err, document["errors"]) == (0, "", [])
    assert [one["what"] for one in document["expectations"]] == ["converged", "parameters.slope", "loss"]
    assert document["expectations"][1]["found"] == pytest.approx(0.8, abs=1e-12)
    assert all(one["passed"] for one in document["expectations"])


def test_train_fails_with_6_for_what_is_not(tmp_path: Path) -> None:
    config = written(tmp_path, "line.yaml", LINE + MET.replace("0.8", "0.9"))
    done = here("train", config, "--out", tmp_path / "run", "--json")
    document = json.loads(done.out)
    assert (done.code, document["exit_code"], document["status"]) == (6, 6, "converged")
    assert document == json.loads((tmp_path / "run/result.json").read_text())
    expected = {"what": "parameters.slope", "expected": "0.9 +- 1e-09", "found": 0.8, "passed": False, "note": None}
    assert {**document["expectations"][1], "found": 0.8} == expected
    (error,) = document["errors"]
    assert (error["code"], error["line"], error["file"]) == ("E601", 4, str(config))
    assert done.err.startswith("error[E601]: `parameters.slope`: expected 0.9 +- 1e-09, found 0.8\n")


def test_a_verdict_alone_says_it_too(tmp_path: Path) -> None:
    done = here("train", written(tmp_path, "line.yaml", LINE + "expect: {loss: {max: 0.7}}\n"), "--no-save", "--quiet")
    assert (done.code, done.out.startswith("Converged")) == (6, True)
    assert "E601" in done.err


@pytest.mark.parametrize(("inputs", "name", "code"), [
    ("[x]", "x", 0), ("[x]", "intercept", 0), ("[x]", "z", 2), ("'*'", "z", 0), ("'*'", "xx", 2), ("'*'", "z=b", 0),
    ("[x]", "x[yes]", 0),
])  # fmt: skip
def test_validate_knows_what_a_linear_model_can_have(tmp_path: Path, inputs: str, name: str, code: int) -> None:
    written(tmp_path, "t.csv", "x,z,y\n0,a,1\n1,b,2\n")
    config = f"data: t.csv\nmodel: {{kind: linear, inputs: {inputs}, target: y}}\n"
    config += f"expect: {{parameters: {{'{name}': {{min: 0}}}}}}\n"
    done = here("validate", written(tmp_path, "line.yaml", config))
    assert done.code == code
    assert code == 0 or f"`{name}` is no parameter" in done.err


def test_names_that_the_table_tells_are_checked_before_the_search(tmp_path: Path) -> None:
    config = "data: {values: {x: [0, 1, 2, 3], y: [1, 3, 2, 5]}}\nmodel: {kind: linear, inputs: [x], target: y}\n"
    done = here("train", written(tmp_path, "line.yaml", config + "expect: {parameters: {z: {min: 0}}}\n"), "--no-save")
    assert (done.code, done.out) == (2, "")
    assert "`z` is no parameter" in done.err
    assert "one of `intercept`, `x`" in done.err
    text = "data: {values: {x: [0, 1, 2], y: [1, 3, 2]}}\nmodel: {kind: linear, inputs: [x], target: y}\n"
    coded = here("train", written(tmp_path, "c.yaml", text + "expect: {parameters: {x=1: {min: 0}}}\n"), "--no-save")
    assert (coded.code, "`x=1` is no parameter" in coded.err) == (2, True)  # which the table alone tells


EXPECTATIONS = (
    Expectation(what="converged", expected="converged", found="converged", passed=True),
    Expectation(what="parameters.rate", expected="0.34 +- 2sigma", found=0.32499658, passed=True),
    Expectation(
        what="parameters.background", expected="20 +- 2sigma", found=20.0, passed=False,
        note="no standard error to be within: it is at its bound",
    ),
    Expectation(what="metrics.validation.rmse", expected="<= 7", found=7.4400732, passed=False),
    Expectation(what="reduced_chi_square", expected="0.5 .. 2", found=None, passed=False,
                note="the result has no such number"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "width"), [("expectations_plain.txt", 80), ("expectations_narrow.txt", 48)])
def test_the_page_of_a_fit_that_is_not_as_expected(name: str, width: int) -> None:
    text = render(replace(RESULT, expectations=EXPECTATIONS, exit_code=6), TextStyle(width=width))
    assert all(len(line) <= width for line in text.splitlines())
    golden(name, text + "\n")
