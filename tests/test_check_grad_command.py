"""`fitkit check-grad` through the real command: wrong rules named, right functions passed, and what pipelines read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from command import LINE, fitkit, here, written
from gradient_models import MODELS, STARTS
from test_cli_golden import masked
from test_report_text import golden

Document = dict[str, Any]


def documents(out: str) -> dict[str, Document]:
    return {Path(document["path"]).stem: document for document in map(json.loads, out.splitlines())}


def verdicts(document: Document) -> set[str]:
    """Return every verdict that a document holds."""
    return {entry["verdict"] for key in ("checks", "rules", "findings") for entry in document[key]}


# -- python models: what stripping the rules is for -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Document]:
    """Check every model of `gradient_models`, in one run."""
    folder = tmp_path_factory.mktemp("models")
    written(folder, "m.py", MODELS)
    for name, start in STARTS.items():
        text = "data: {values: {t: [1], y: [0]}}\nloss: {kind: expression, expression: prediction}\n"
        text += f"model: {{kind: python, function: m.py:{name}, inputs: [t], target: y}}\n"
        written(folder, f"{name}.yaml", f"{text}parameters: {{x: {start}}}\n")
    done = here("check-grad", ".", "--allow-python", "--json", cwd=folder)
    assert done.code == 6
    return documents(done.out)


def line_of(words: str) -> int:
    return 1 + next(number for number, line in enumerate(MODELS.splitlines()) if words in line)


RULES = {
    "wrong_jvp": ("softplus", "def softplus(x)"),
    "wrong_jvp_at_its_own_zero": ("softplus", "def softplus(x)"),
    "wrong_vjp": ("deaf_sine", "def deaf_sine(x)"),
    "mean_vjp": ("spread_out", "def spread_out(b, x)"),
    "clip_vjp": ("clipped", "def clipped(x)"),
    "kink_rule": ("steep", "def steep(x)"),
    "implicit": ("fixed_point", "def fixed_point(p)"),
    "stopped": ("stop_gradient", "stopped ="),
    "straight_through": ("stop_gradient", "straight_through ="),
}


@pytest.mark.parametrize("name", RULES)
def test_a_wrong_rule_is_named_with_its_line(of_models: dict[str, Document], name: str) -> None:
    document = of_models[name]
    function, words = RULES[name]
    assert (document["verdict"], document["exit_code"]) == ("fail", 6)
    (rule,) = (rule for rule in document["rules"] if rule["verdict"] == "rule")
    assert (rule["name"], rule["file"]) == (function, "m.py")
    assert abs(rule["line"] - line_of(words)) <= 1  # of the function, or of the decorator above it
    assert f"m.py:{rule['line']}" in document["message"]


WRONG = {
    "wrong_jvp": "fail", "wrong_vjp": "fail", "mean_vjp": "fail", "clip_vjp": "fail", "implicit": "fail",
    "stopped": "fail", "straight_through": "fail", "kink_rule": "kink_fail", "identity_by_kinks": "zero_grad",
    "staircase": "staircase", "integers": "staircase", "jump": "discontinuous", "sinc": "nan_grad", "norm": "nan_grad",
    "power_zero": "nan_grad", "random": "nondet", "counting": "nondet", "callback_bare": "fail",
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_gradient_is_caught_in_its_class(of_models: dict[str, Document], name: str) -> None:
    document = of_models[name]
    assert (document["verdict"], document["exit_code"]) == ("fail", 6)
    assert WRONG[name] in verdicts(document), document["message"]


RIGHT = {"right_rule", "callback_rule", "scanned", "looped", "relu_kink", "logsumexp", "remainder"}


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_a_right_gradient_passes(of_models: dict[str, Document], name: str) -> None:
    document = of_models[name]
    assert (document["verdict"], document["exit_code"]) == ("pass", 0), document["message"]


def test_every_model_is_tested(of_models: dict[str, Document]) -> None:
    assert set(of_models) == set(WRONG) | RIGHT | set(RULES) == set(STARTS)


def test_what_could_not_be_done_is_told(of_models: dict[str, Document]) -> None:
    def notes(name: str) -> str:
        return " ".join(of_models[name]["notes"])

    assert "forward mode" in notes("looped")
    assert "forward mode" in notes("wrong_vjp")
    assert "custom_jvp" in of_models["callback_bare"]["message"]
    assert {check["verdict"] for check in of_models["relu_kink"]["checks"]} == {"pass", "kink_ok"}


REVERSE_ONLY = """\
import jax
import jax.numpy as jnp


@jax.custom_vjp
def soft(x):
    return jnp.log1p(jnp.exp(x))


soft.defvjp(lambda x: (soft(x), x), lambda x, g: (g * jax.nn.sigmoid(x),))


def f(parameters, inputs):
    return parameters["a"] * soft(parameters["b"] * inputs["x"]) + 0 * parameters["c"]
"""


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs"])
def test_a_least_squares_model_without_forward_mode_is_checked_and_what_train_says_is_told(
    tmp_path: Path, optimizer: str
) -> None:
    """Its Jacobian, which tells what the data do not determine, is had backwards."""
    written(tmp_path, "m.py", REVERSE_ONLY)
    data = "data: {values: {x: [0, 1, 2, 3, 4], y: [1, 3, 2, 5, 4]}}\n"
    model = "model: {kind: python, function: m.py:f, inputs: [x], target: y}\n"
    rest = f"parameters: {{a: 1, b: 1, c: 1}}\noptimizer: {optimizer}\n"
    written(tmp_path, "c.yaml", data + model + rest)
    done = here("check-grad", "c.yaml", "--allow-python", "--json", cwd=tmp_path)
    (document,) = map(json.loads, done.out.splitlines())
    (note,) = (note for note in document["notes"] if "`train`" in note)
    assert "jax.custom_vjp` has no forward mode" in note
    assert "jax.custom_jvp" in note
    assert verdicts(document) <= {"pass", "unused"}
    trained = here("train", "c.yaml", "--allow-python", cwd=tmp_path)
    assert trained.code == 2
    assert "has no forward mode" in trained.err


FAR = """\
import jax
import numpy as np


def outside(x):
    if x != 1:
        raise ValueError("far from 1")
    return np.float64(x)


def f(parameters, inputs):
    x = jax.lax.stop_gradient(parameters["x"])
    return jax.pure_callback(outside, jax.ShapeDtypeStruct((), float), x) * parameters["x"] * inputs["t"]
"""


def test_a_model_that_runs_at_the_start_alone_is_inconclusive(tmp_path: Path) -> None:
    written(tmp_path, "m.py", FAR)
    text = "data: {values: {t: [1], y: [0]}}\nmodel: {kind: python, function: m.py:f, inputs: [t], target: y}\n"
    written(tmp_path, "c.yaml", text + "parameters: {x: 1}\n")
    first = here("check-grad", "c.yaml", "--allow-python", "--json", "--junit", "out.xml", cwd=tmp_path)
    assert (json.loads(first.out)["verdict"], first.code) == ("inconclusive", 0)
    assert ET.parse(tmp_path / "out.xml").getroot().findall("testsuite/testcase/skipped")  # noqa: S314 - our own
    strict = here("check-grad", "c.yaml", "--allow-python", "--inconclusive", "fail", cwd=tmp_path)
    assert strict.code == 6
    assert "cannot be resolved" in strict.out


# -- formulas ---------------------------------------------------------------------------------------------------------------

FORMULAS: dict[str, tuple[str, str, int]] = {
    "overflow": ("minimize: log(1 + exp(x))\nparameters: {x: 800}\n", "nonfinite_value", 6),
    "logarithm": ("minimize: exp(2 * log(x))\nparameters: {x: -1}\n", "nonfinite_value", 6),
    "step": ("minimize: floor(x) + x\nparameters: {x: 1.0}\n", "discontinuous", 6),
    "stairs": ("minimize: (floor(10 * x) / 10)**2\nparameters: {x: 0.337}\n", "staircase", 6),
    "kink": ("minimize: abs(x) + x**2\nparameters: {x: 0}\n", "kink_ok", 0),
    "unused": ("minimize: 0 * x + y**2\nparameters: {x: 1.3, y: 1}\n", "unused", 0),
    "quadratic_at_its_minimum": ("minimize: x**2\nparameters: {x: 0}\n", "pass", 0),
    "quartic_at_its_minimum": ("minimize: (x - 1)**4\nparameters: {x: 1}\n", "pass", 0),
    "large_constant": ("minimize: 1e8 + sin(x)\nparameters: {x: 1}\n", "pass", 0),
    "fast": ("minimize: sin(1000 * x)\nparameters: {x: 1}\n", "pass", 0),
    "dyadic": ("minimize: sin(2048 * pi * x)\nparameters: {x: 0}\n", "pass", 0),
    "edge": ("minimize: x**1.5\nparameters: {x: 0}\n", "pass", 0),
    "tiny": ("minimize: log(x)\nparameters: {x: 1e-10}\n", "pass", 0),
    "identifiability": (
        "data: {values: {t: [1, 2, 3, 4, 5], y: [1, 2, 3, 4, 6]}}\nmodel: y ~ a * b * t\nparameters: {a: 2, b: 3}\n",
        "ident", 0,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def of_formulas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Document]:
    folder = tmp_path_factory.mktemp("formulas")
    for name, (text, _, _) in FORMULAS.items():
        written(folder, f"{name}.yaml", text)
    return documents(here("check-grad", ".", "--json", cwd=folder).out)


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_have_their_class_and_exit_code(of_formulas: dict[str, Document], name: str) -> None:
    _, verdict, code = FORMULAS[name]
    assert of_formulas[name]["exit_code"] == code, of_formulas[name]["message"]
    assert verdict in verdicts(of_formulas[name])


def test_policies_and_warn_change_the_verdict_and_are_told(tmp_path: Path) -> None:
    stairs = FORMULAS["stairs"][0]
    written(tmp_path, "stairs.yaml", stairs)
    done = here("check-grad", "stairs.yaml", "--warn", cwd=tmp_path)
    assert done.code == 0, done.out
    assert "policy warn" in done.out
    text = "minimize: x**2\nparameters: {x: 1, b: {start: 1, fixed: true}}\n"
    written(tmp_path, "c.yaml", text + "check_grad: {allow_kinks: true, scale: {x: 2}, domain: {x: [0, 3]}}\n")
    done = here("check-grad", "c.yaml", cwd=tmp_path)
    assert done.code == 0
    for words in ("allow_kinks", "scale: x by 2", "domain: x from 0 to 3"):
        assert words in done.out


# -- what pipelines read ----------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    written(tmp_path, "line.yaml", LINE)
    first, second, other = (
        fitkit("check-grad", "line.yaml", "--json", "--seed", seed, cwd=tmp_path).out for seed in ("3", "3", "4")
    )
    assert first == second
    assert first != other


def test_the_document_has_the_keys_of_the_contract(tmp_path: Path) -> None:
    written(tmp_path, "line.yaml", LINE + "check_grad: {claims: {slope: x}}\n")
    done = here("check-grad", "line.yaml", "--json", "--at", "start", cwd=tmp_path)
    document = json.loads(done.out)
    assert document["schema"] == "fitkit.check_grad/1"
    assert (document["path"], document["verdict"], document["exit_code"]) == ("line.yaml", "pass", 0)
    keys = {
        "point",
        "direction",
        "parameter",
        "autodiff",
        "numerical",
        "error_estimate",
        "tolerance",
        "digits",
        "verdict",
    }
    assert all(keys | {"note"} <= set(check) for check in document["checks"])
    assert {check["point"] for check in document["checks"]} == {"start"}
    assert document["claims"] == {
        "slope": {"verdict": "confirmed", "expected": True, "note": document["claims"]["slope"]["note"]}
    }
    slope = next(check for check in document["checks"] if check["direction"] == "slope")
    # By hand: the derivative by the slope at (1, 0) is 2/5 sum of (x - y) x = 2/5 (30 - 38), along a change of 1.
    assert slope["autodiff"] == pytest.approx(-3.2, rel=1e-12)
    assert abs(slope["numerical"] - slope["autodiff"]) <= slope["tolerance"]


def test_points_and_second_order(tmp_path: Path) -> None:
    written(tmp_path, "c.yaml", "minimize: (1 - a)**2 + 100 * (b - a**2)**2\nparameters: {a: -1.2, b: 1}\n")
    done = here("check-grad", "c.yaml", "--at", "solution", "--order", "2", cwd=tmp_path)
    assert done.code == 0, done.out
    assert "at 1 point in 8 directions and along 2 parameters; second derivatives" in " ".join(done.out.split())
    done = here("check-grad", "c.yaml", "--at", "random", "--json", "--budget", "60", cwd=tmp_path)
    assert all(check["point"].startswith("random") for check in json.loads(done.out)["checks"])


def test_several_configs_the_worst_exit_code_and_junit(tmp_path: Path) -> None:
    written(tmp_path, "a_right.yaml", LINE)
    written(tmp_path, "b_overflow.yaml", FORMULAS["overflow"][0])
    written(tmp_path, "_parent.yaml", "nonsense")
    (tmp_path / "run").mkdir()
    written(tmp_path / "run", "result.json", "{}")
    written(tmp_path / "run", "config.yaml", "nonsense")
    done = here("check-grad", ".", "--junit", "out.xml", cwd=tmp_path)
    assert done.code == 6
    assert done.out.splitlines()[-1] == "2 configs: 1 passed, 1 failed"
    written(tmp_path, "c_mistake.yaml", LINE.replace("x + offset", "x + ofset"))
    done = here("check-grad", "*.yaml", "--quiet", "--junit", "out.xml", "--set", "seed=1", cwd=tmp_path)
    assert done.code == 2
    assert len(done.out.splitlines()) == 5  # three configs, the parent that the glob names, and their count
    root = ET.parse(tmp_path / "out.xml").getroot()  # noqa: S314 - our own
    suites = {suite.get("name"): suite for suite in root}
    assert suites["a_right.yaml"].get("failures") == "0"
    cases = {case.get("name") for case in suites["a_right.yaml"]}
    assert {"start: slope", "start: offset", "wide: random 8"} <= cases
    failures = suites["b_overflow.yaml"].findall("testcase/failure")
    assert {failure.get("type") for failure in failures} >= {"nonfinite_value"}
    assert [error.get("type") for error in suites["c_mistake.yaml"].findall("testcase/error")] == ["config"]
    assert "did you mean `offset`?" in (suites["c_mistake.yaml"].findtext("testcase/error") or "")


def test_control_characters_do_not_break_the_junit_document(tmp_path: Path) -> None:
    written(tmp_path, "odd\x1b\x07name.yaml", "minimize: x**2\nparameters: {x: 1}\n")
    done = here("check-grad", ".", "--junit", "out.xml", "--at", "start", cwd=tmp_path)
    assert done.code == 0
    assert "odd\\x1b\\x07name" in (ET.parse(tmp_path / "out.xml").getroot()[0].get("name") or "")  # noqa: S314 - our own


def test_a_report_that_cannot_be_written_is_8(tmp_path: Path) -> None:
    written(tmp_path, "line.yaml", LINE)
    done = here("check-grad", "line.yaml", "-q", "--at", "start", "--junit", "no/such/folder/out.xml", cwd=tmp_path)
    assert (done.code, done.out) == (8, "")
    assert "error[E801]" in done.err
    over = here("check-grad", tmp_path / "line.yaml", "--junit", tmp_path / "line.yaml")
    assert (over.code, over.out, (tmp_path / "line.yaml").read_text()) == (8, "", LINE)


@pytest.mark.parametrize(
    ("arguments", "code"), [(["nothing.yaml"], 2), (["--at", "end", "line.yaml"], 2), (["data.yaml"], 3)]
)
def test_mistakes(tmp_path: Path, arguments: list[str], code: int) -> None:
    written(tmp_path, "line.yaml", LINE)
    written(tmp_path, "data.yaml", "data: absent.csv\nmodel: y ~ a * x\nparameters: {a: 1}\n")
    done = here("check-grad", *arguments, "--json", cwd=tmp_path)
    assert done.code == code
    if "--at" not in arguments:
        assert json.loads(done.out)["errors"][0]["message"]


def test_single_precision(tmp_path: Path) -> None:
    written(tmp_path, "c.yaml", LINE + "precision: float32\n")
    done = here("check-grad", "c.yaml", "--json", cwd=tmp_path)
    assert done.code == 0, done.out


# -- what a person sees -----------------------------------------------------------------------------------------------------


def test_the_page(tmp_path: Path) -> None:
    text = LINE.replace("x + offset", "x + offset + 0 * drift").replace("offset: 0}", "offset: 0, drift: 1}")
    written(tmp_path, "line.yaml", text + "check_grad: {claims: {slope: x, offset: {formula: 2, expect: refuted}}}\n")
    done = fitkit("check-grad", "line.yaml", "--at", "start", cwd=tmp_path)
    assert done.code == 0, done.out
    assert all(len(line) <= 80 for line in done.out.splitlines())
    # What lies at the rounding of another processor: error bars, tolerances, and the digits they leave.
    page = re.sub(r"\b\d+e-\d+", "#e-##", re.sub(r"\d+/\d+", "##/##", masked(done.out)))
    golden("cli_check_grad.txt", re.sub(r"agrees to \d+ digits", "agrees to ## digits", page))
    every = fitkit("check-grad", "line.yaml", "--at", "start", "-v", cwd=tmp_path).out
    header = next(line for line in every.splitlines() if line.startswith("point"))
    assert header.split() == [
        "point",
        "direction",
        "AD",
        "FD",
        "±",
        "E",
        "tol",
        "digits",
        "slope",
        "h*",
        "noise",
        "verdict",
    ]
