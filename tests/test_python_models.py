"""Python models as users write them: what they print, import, return and raise."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest
from command import Outcome, fitkit, here, written
from fitting import fit

from fitkit.errors import ConfigError

CONFIG = """\
data: {values: {x: [1, 2, 3, 4], y: [2, 4, 6, 8]}}
model: {kind: python, function: "m.py:f", inputs: [x], target: y}
parameters: {a: 1}
"""


def run(folder: Path, code: str, *options: str, config: str = CONFIG) -> Outcome:
    written(folder, "m.py", code)
    return fitkit("train", written(folder, "fit.yaml", config), "--allow-python", "--no-save", *options)


def refused(folder: Path, code: str, more: str = "") -> str:
    written(folder, "m.py", code)
    with pytest.raises(ConfigError) as caught:
        fit(str(written(folder, "fit.yaml", CONFIG + more)))
    told = caught.value.diagnostics[0]
    assert told.line == 2
    return f"{told.code} {told.message}"


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ('p["a"] * i["x"] + 1j', "complex numbers"),
        ('p["a"] * i["x"] > 0', "booleans"),
        ('"text"', "a str"),
        ("None", "None"),
        ('[p["a"]] * 4', "a list"),
        ("True", "a bool"),
    ],
)
def test_what_is_no_array_of_real_numbers_is_refused(tmp_path: Path, returned: str, words: str) -> None:
    told = refused(tmp_path, f"def f(p, i):\n    return {returned}\n")
    assert told == f"E161 the model returns {words} where it should return real numbers"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys\nsys.exit(0)\n", "error[E160]: `m.py` failed while it was read: it tried to leave the process"),
        ("import sys\ndef f(p, i):\n    sys.exit(0)\n", "error[E162]: `m.py:f` failed in line 3"),
        (
            "class Odd(BaseException): pass\ndef f(p, i):\n    raise Odd\n",
            "error[E162]: `m.py:f` failed in line 3: Odd",
        ),
    ],
)
def test_code_that_leaves_the_process_does_not_decide_the_exit_code(tmp_path: Path, code: str, words: str) -> None:
    done = run(tmp_path, code)
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def test_prints_go_to_standard_error(tmp_path: Path) -> None:
    code = (
        "import jax\nprint('read')\n"
        "def f(p, i):\n    print('traced')\n    jax.debug.print('computed')\n    return p['a'] * i['x']\n"
    )
    done = run(tmp_path, code, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["parameters"]["a"]["value"] == pytest.approx(2)
    assert all(word in done.err for word in ("read", "traced", "computed"))


NO_RULE = """\
import jax
def f(p, i):
    like = jax.ShapeDtypeStruct(i["x"].shape, i["x"].dtype)
    return jax.pure_callback(lambda a, x: a * x, like, p["a"], i["x"])
"""
LOOP = """\
import jax
def f(p, i):
    return jax.lax.while_loop(lambda c: c[0] < 1, lambda c: (c[0] + 1, c[1] * p["a"]), (0, i["x"]))[1]
"""
ONCE = (
    NO_RULE
    + """\
bare = f
@jax.custom_jvp
def rule(a, x):
    return a * x
@rule.defjvp
def _(at, along):
    return rule(*at), bare({"a": along[0]}, {"x": at[1]})
def f(p, i):
    return rule(p["a"], i["x"])
"""
)


@pytest.mark.parametrize("optimizer", ["lm", "newton", "lbfgs", "{kind: adam, epochs: 3}"])
@pytest.mark.parametrize("code", [NO_RULE, ONCE, LOOP])
def test_what_cannot_be_differentiated_is_said_before_the_fit(tmp_path: Path, code: str, optimizer: str) -> None:
    if code == LOOP and optimizer == "lm":  # which differentiates forwards only
        written(tmp_path, "m.py", code)
        assert fit(str(written(tmp_path, "fit.yaml", CONFIG + "optimizer: lm\n"))).values == pytest.approx([2])
        return
    told = refused(tmp_path, code, f"optimizer: {optimizer}\n")
    assert told.startswith("E162 `m.py:f` cannot be differentiated"), told


def test_the_line_that_is_named_is_one_of_the_users_file(tmp_path: Path) -> None:
    """The name m.py ends the name of files of ours, such as problem.py."""
    assert refused(tmp_path, "f = lambda: 3\n").startswith("E162 `m.py:f` failed: TypeError")
    assert "failed in line 2: KeyError: 'b'" in refused(tmp_path, "def f(p, i):\n    return p['b'] * i['x']\n")


def test_modules_beside_the_config_are_imported_and_forgotten(tmp_path: Path) -> None:
    code = "from helper import g\ndef f(p, i):\n    from late import h\n    return h(g(p['a'], i['x']))\n"
    before, modules = list(sys.path), set(sys.modules)
    for slope in (2, 4):
        folder = tmp_path / str(slope)
        folder.mkdir()
        written(folder, "helper.py", f"def g(a, x):\n    return {slope} * a * x\n")
        written(folder, "late.py", "def h(x):\n    return x\n")
        written(folder, "m.py", code)
        found = fit(str(written(folder, "fit.yaml", CONFIG)))
        assert found.values == pytest.approx([2 / slope])
        joined = code.encode() + b"\0helper\0" + (folder / "helper.py").read_bytes()
        assert found.result.provenance["code_sha256"] == hashlib.sha256(joined).hexdigest()
    assert sys.path == before
    assert {"helper", "late"}.isdisjoint(set(sys.modules) - modules)


def test_all_columns_are_inputs_where_asked_and_the_saved_run_knows_which(tmp_path: Path) -> None:
    written(tmp_path, "m.py", "def f(p, i):\n    return p['a'] * sum(i[name] for name in sorted(i))\n")
    table = written(tmp_path, "t.csv", "x,z,y,w\n1,2,6,1\n2,0,4,1\n3,1,8,2\n4,5,18,1\n")
    config = CONFIG.replace("{values: {x: [1, 2, 3, 4], y: [2, 4, 6, 8]}}", "{path: t.csv, weights: w}")
    path = written(tmp_path, "fit.yaml", config.replace("[x]", '"*"'))
    assert fit(str(path)).values == pytest.approx([2.0], rel=1e-12)
    assert here("train", path, "--allow-python", "--out", tmp_path / "run", "--quiet").code == 0
    done = here("predict", tmp_path / "run", "--allow-python", "--data", table, "--out", tmp_path / "p.csv")
    assert done.code == 0, done.err
    assert (tmp_path / "p.csv").read_bytes() == (tmp_path / "run" / "predictions.csv").read_bytes()
    more = written(tmp_path, "more.csv", "x,z,y,other\n1,2,6,100\n")
    found = here("predict", tmp_path / "run", "--allow-python", "--data", more)
    assert found.out.splitlines()[1].startswith("1.0,2.0,6.0,6.0"), found.out
    lacking = here("predict", tmp_path / "run", "--allow-python", "--data", written(tmp_path, "less.csv", "x\n1\n"))
    assert (lacking.code, "no column `z`" in lacking.err) == (3, True)


def test_a_parameter_beside_all_columns_needs_a_start(tmp_path: Path) -> None:
    config = CONFIG.replace("[x]", '"*"').replace("{a: 1}", "{a: {min: 0}}")
    with pytest.raises(ConfigError) as caught:
        fit(str(written(tmp_path, "fit.yaml", config)))
    assert "needs a `start`" in caught.value.diagnostics[0].message
