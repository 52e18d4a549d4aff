"""Claimed derivatives: the right ones are confirmed, the wrong ones refuted by an example that a person can check."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from command import ROOT, fitkit, here, written
from fitting import assembled, source

from fitkit.gradient_check import ClaimVerdict
from fitkit.run.claims import checked_claims

POINT = re.compile(r"at (.*?) it gives (\S+), the derivative by `(\w+)` is (\S+?)(?:;|$)")


def verdicts(config: dict[str, Any]) -> dict[str, ClaimVerdict]:
    """Return what becomes of the claims of a config."""
    problem = assembled(config)
    return {claim.name: claim for claim in checked_claims(source(config), problem)}


def pure(formula: str, claims: dict[str, Any], **parameters: Any) -> dict[str, ClaimVerdict]:
    return verdicts({"minimize": formula, "parameters": parameters, "check_grad": {"claims": claims}})


def constant(start: float) -> dict[str, Any]:
    return {"start": start, "fixed": True}


RIGHT = [
    ("x**n", "n * x**(n - 1)", {"x": 2, "n": constant(3)}),
    ("exp(x)", "exp(x)", {"x": 1}),
    ("log(x)", "1 / x", {"x": 2}),
    ("sin(x)", "cos(x)", {"x": 0.7}),
    ("cos(x)", "-sin(x)", {"x": 0.7}),
    ("asin(x)", "1 / sqrt(1 - x**2)", {"x": 0.3}),
    ("acos(x)", "-1 / sqrt(1 - x**2)", {"x": 0.9999999}),
    ("erf(x)", "2 / sqrt(pi) * exp(-x**2)", {"x": 0.5}),
    ("lgamma(x)", "digamma(x)", {"x": 3.5}),
    ("atan2(y, x)", "-y / (x**2 + y**2)", {"x": 1, "y": 2}),
    ("1e8 + sin(x)", "cos(x)", {"x": 1}),
    ("sin(1000 * x)", "1000 * cos(1000 * x)", {"x": 1}),
    ("exp(50 * x)", "50 * exp(50 * x)", {"x": 1}),
    ("(1 - cos(x)) / x**2", "sin(x) / x**2 - 2 * (1 - cos(x)) / x**3", {"x": 1e-3}),
    ("abs(x) + x**3", "sign(x) + 3 * x**2", {"x": 1}),
    ("where(x > 1, x**2, 2 * x - 1)", "where(x > 1, 2 * x, 2)", {"x": 0.5}),
    ("(1 - x)**2 + 100 * (y - x**2)**2", "-2 * (1 - x) - 400 * x * (y - x**2)", {"x": -1.2, "y": 1}),
]


@pytest.mark.parametrize(("formula", "claim", "parameters"), RIGHT, ids=[case[0] for case in RIGHT])
def test_textbook_derivatives_are_confirmed(formula: str, claim: str, parameters: dict[str, Any]) -> None:
    found = pure(formula, {"x": claim}, **parameters)["x"]
    assert (found.verdict, found.expected) == ("confirmed", True), found.note


@pytest.mark.parametrize("factor", ["1.0005", "(1 + 1e-6)", "(1 - 1e-8)"])
@pytest.mark.parametrize(("formula", "claim", "parameters"), RIGHT[:8], ids=[case[0] for case in RIGHT[:8]])
def test_a_small_relative_error_is_refuted(formula: str, claim: str, parameters: dict[str, Any], factor: str) -> None:
    found = pure(formula, {"x": f"{factor} * ({claim})"}, **parameters)["x"]
    assert (found.verdict, found.expected) == ("refuted", False), found.note
    assert "times the derivative everywhere" in found.note


FORM = "a11 * x1**2 + (a12 + a21) * x1 * x2 + a22 * x2**2"
MATRIX = {"a11": constant(2), "a12": constant(1), "a21": constant(0), "a22": constant(3)}
SLIPS = [
    ("(x**2 + y**2)**2", "2 * (x**2 + y**2) * x", {"x": 1, "y": 2}, "a factor 2 is missing"),
    ("x**2", "4 * x", {"x": 1}, "a factor 2 too many"),
    ("sin(x) + y", "-cos(x)", {"x": 0.3, "y": 1}, "the sign is wrong"),
    ("((x - 1)**2 + (x - 2)**2 + (x - 3)**2) / 3", "2 * (x - 1 + x - 2 + x - 3)", {"x": 0}, "1/3 is missing"),
    ("x**n", "x**(n - 1)", {"x": 2, "n": constant(3)}, "a factor `n` is missing"),
    ("x**2 * y", "x**2", {"x": 2, "y": 3}, "the derivative by `y`: swapped"),
    ("a12 * x + a21 * y**2", "a21", {"x": 1, "y": 1, **MATRIX}, "`a12` and `a21` exchanged: transposed"),
]


@pytest.mark.parametrize(("formula", "claim", "parameters", "words"), SLIPS, ids=[case[3] for case in SLIPS])
def test_a_recognised_slip_is_named(formula: str, claim: str, parameters: dict[str, Any], words: str) -> None:
    found = pure(formula, {"x": claim}, **parameters)["x"]
    assert found.verdict == "refuted"
    assert words in found.note


def test_the_counterexample_is_small_and_true() -> None:
    """Its numbers are put into both formulas here: by hand the derivative of x'Ax by x1 is 2 a11 x1 + (a12 + a21) x2."""
    found = pure(FORM, {"x1": "2 * x1 + a12 * x2"}, x1=1, x2=1, **MATRIX)["x1"]
    told = POINT.search(found.note)
    assert found.verdict == "refuted"
    assert told is not None
    names = dict.fromkeys(("x1", "x2", "a11", "a12", "a21", "a22"), 0.0)
    for entry in told[1].split(", "):
        if " = " in entry:
            name, _, number = entry.partition(" = ")
            names[name] = float(number)
    assert float(told[2]) == 2 * names["x1"] + names["a12"] * names["x2"]
    assert float(told[4]) == 2 * names["a11"] * names["x1"] + (names["a12"] + names["a21"]) * names["x2"]
    assert float(told[2]) != float(told[4])
    assert sum(number != 0 for number in names.values()) == 1  # x1 = 1 and nothing else


def test_constants_are_drawn_and_literals_are_not() -> None:
    """The claim that takes A for the identity: right for that matrix only."""
    identity = {"a11": constant(1), "a12": constant(0), "a21": constant(0), "a22": constant(1)}
    claim = {"x1": "2 * x1 + a12 * x2"}
    found = pure(FORM, claim, x1=1, x2=1, **identity)["x1"]
    assert found.verdict == "refuted"
    assert "it holds with the constants of the config, and not in general" in found.note
    assert pure("1 * x1**2 + 1 * x2**2", {"x1": "2 * x1 + 0 * x2"}, x1=1, x2=1)["x1"].verdict == "confirmed"


def test_a_claim_that_is_right_at_the_start_only() -> None:
    found = pure("x**2 * y", {"x": "x * y"}, x=0, y=1)["x"]
    assert found.verdict == "refuted"
    assert "at the start it happens to be right" in found.note


def test_an_expected_refutation_and_a_disappointed_one() -> None:
    wrong, right = {"formula": "x", "expect": "refuted"}, {"formula": "2 * x", "expect": "refuted"}
    assert pure("x**2", {"x": wrong}, x=1)["x"].expected
    found = pure("x**2", {"x": right}, x=1)["x"]
    assert (found.verdict, found.expected) == ("confirmed", False)


def test_where_the_function_is_nowhere_nothing_is_decided() -> None:
    found = pure("sqrt(-1 - x**2)", {"x": "-x / sqrt(-1 - x**2)"}, x=1)["x"]
    assert found.verdict == "undecided"
    assert "domain" in found.note


def test_claims_of_a_model_are_about_its_rows() -> None:
    data = {"values": {"t": [0.5, 1, 2, 3], "y": [1, 2, 3, 4], "state": ["a", "b", "a", "b"]}}
    config = {
        "data": data, "model": "y ~ a * exp(-k * t) + where(state == 'b', c, 0)",
        "definitions": {"pulse": "exp(-k * t)"},
        "parameters": {"a": 3, "k": 0.5, "c": 1, "life": {"equals": "log(2) / k"}},
        "check_grad": {"claims": {"a": "pulse", "k": "-a * t * exp(-log(2) / life * t)", "c": "state == 'b'"}},
    }  # fmt: skip
    assert {name: claim.verdict for name, claim in verdicts(config).items()} == dict.fromkeys("akc", "confirmed")
    config["check_grad"] = {"claims": {"k": "-a * pulse"}}
    found = verdicts(config)["k"]
    assert found.verdict == "refuted"
    assert "in row 1 (t = 0.5)" in found.note


def test_claims_go_through_ties() -> None:
    found = verdicts(
        {"minimize": "a * b", "parameters": {"a": 3, "b": {"equals": "a**2"}}, "check_grad": {"claims": {"a": "3 * b"}}}
    )
    assert found["a"].verdict == "confirmed"


def test_claims_of_models_that_name_their_parameters() -> None:
    data = {"values": {"x": [1, 2, 4], "z": [0, 1, 1], "y": [1, 2, 3]}}
    linear = {"kind": "linear", "inputs": ["x", "z"], "target": "y"}
    found = verdicts({"data": data, "model": linear, "check_grad": {"claims": {"x": "x", "z": "z", "intercept": 1}}})
    assert {claim.verdict for claim in found.values()} == {"confirmed"}
    curve = {"kind": "polynomial", "input": "x", "degree": 2, "target": "y"}
    found = verdicts({"data": data, "model": curve, "check_grad": {"claims": {"c2": "x**2", "c1": "x**2"}}})
    assert [found[name].verdict for name in ("c2", "c1")] == ["confirmed", "refuted"]
    assert "the derivative by `c2`: swapped?" in found["c1"].note


def test_arrays_stay_where_they_are_and_have_no_claims(tmp_path: Path) -> None:
    written(tmp_path, "m.py", "def f(p, i):\n    return p['w'][0] * i['x'] * p['b'] + p['w'][1]\n")
    text = "data: {values: {x: [1, 2, 3, 4], y: [0, 1, 3, 2]}}\n"
    text += "model: {kind: python, function: m.py:f, inputs: [x], target: y}\n"
    text += "parameters: {w: {shape: [2], start: {normal: 0.5}}, b: 0.3}\n"
    written(tmp_path, "c.yaml", text + "check_grad: {scale: {w: 1}, claims: {b: {formula: 2 * x, expect: refuted}}}\n")
    done = here("check-grad", "c.yaml", "--allow-python", "--at", "start", cwd=tmp_path)
    assert done.code == 0, done.out + done.err
    written(tmp_path, "c.yaml", text + "check_grad: {claims: {w: x}}\n")
    done = here("check-grad", "c.yaml", "--allow-python", cwd=tmp_path)
    assert done.code == 2
    assert "`w` is an array" in done.err


def test_parameters_of_coded_inputs(tmp_path: Path) -> None:
    text = "data: {values: {z: [u, v, w, u, v], y: [1, 2, 3, 4, 6]}}\nmodel: {kind: linear, inputs: [z], target: y}\n"
    written(tmp_path, "c.yaml", text + "check_grad: {claims: {'z=v': z == 'v', intercept: 1}}\n")
    done = here("check-grad", "c.yaml", "--at", "start", cwd=tmp_path)
    assert done.code == 0, done.out + done.err
    assert "2 claims confirmed" in " ".join(done.out.split())
    written(tmp_path, "c.yaml", text + "check_grad: {scale: {'z=x': 1}}\n")
    done = here("check-grad", "c.yaml", cwd=tmp_path)
    assert done.code == 2
    assert "c.yaml:3:22" in done.err


# -- the command ------------------------------------------------------------------------------------------------------------


def test_the_articles_formulas() -> None:
    """Every claim of the folder, right ones and wrong ones, in one run."""
    done = fitkit("check-grad", "configs/claims", "--json")
    documents = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0, done.out
    assert [document["verdict"] for document in documents] == ["pass"] * len(documents)
    for document in documents:
        wrong = re.search(r"_wrong|_broadcast", document["path"]) is not None
        assert document["claims"]
        assert {claim["verdict"] for claim in document["claims"].values()} == {"refuted" if wrong else "confirmed"}
        assert all(claim["expected"] for claim in document["claims"].values())
    assert sum("_wrong" in document["path"] for document in documents) == 8


def test_train_refuses_what_is_for_the_check_alone(tmp_path: Path) -> None:
    text = "minimize: x**2\nparameters: {x: 1}\ncheck_grad:\n  only: true\n  claims: {x: 2 * x}\n"
    written(tmp_path, "claim.yaml", text)
    done = fitkit("train", "claim.yaml", cwd=tmp_path)
    assert done.code == 2
    assert "error[E123]" in done.err
    assert "claim.yaml:4:3" in done.err
    assert "fitkit check-grad claim.yaml" in done.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("claims", "code"),
    [("{x: 2 * x}", 0), ("{x: x}", 6), ("{x: {formula: x, expect: refuted}}", 0),
     ("{x: {formula: 2 * x, expect: refuted}}", 6), ("{z: x}", 2), ("{x: 2 * xx}", 2)],
)  # fmt: skip
def test_exit_codes_of_claims(tmp_path: Path, claims: str, code: int) -> None:
    written(tmp_path, "c.yaml", f"minimize: x**2\nparameters: {{x: 1}}\ncheck_grad: {{claims: {claims}}}\n")
    assert here("check-grad", "c.yaml", cwd=tmp_path).code == code


def test_names_in_claims_are_checked_at_their_place(tmp_path: Path) -> None:
    text = "data: {values: {time: [1, 2], y: [1, 2]}}\nmodel: y ~ rate * time\nparameters: {rate: 1}\n"
    written(tmp_path, "c.yaml", text + "check_grad:\n  claims: {rte: time, rate: tine}\n")
    done = here("validate", "c.yaml", cwd=tmp_path)
    assert done.code == 2
    assert "c.yaml:5:12" in done.err
    assert "did you mean `rate`?" in done.err
    written(tmp_path, "c.yaml", text + "check_grad:\n  claims: {rate: tine}\n")
    done = here("validate", "c.yaml", cwd=tmp_path)
    assert "c.yaml:5:18" in done.err
    assert "did you mean `time`?" in done.err


def test_the_folder_is_the_one_of_the_readme() -> None:
    """Every config of the folder has its line in the README's table."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [p.stem for p in sorted((ROOT / "configs/claims").glob("*.yaml")) if f"`{p.stem}`" not in text] == []
