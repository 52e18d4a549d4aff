"""The JSON document through the real command: every key of `fitkit.result/1` with its type, for fits and for failures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import LINE, fitkit, python, written

from fitkit.reports.json_document import render
from fitkit.result import FittedParameter, LossSummary, Result, Status, UncertaintySummary

NUMBER, TEXT, NOTHING = (int, float), (str,), (type(None),)

KEYS: dict[str, tuple[type, ...]] = {
    "schema": TEXT, "name": TEXT + NOTHING, "path": TEXT, "exit_code": (int,), "status": TEXT, "reason": TEXT,
    "message": TEXT, "errors": (list,), "parameters": (dict,), "loss": (dict, *NOTHING), "fit": (dict, *NOTHING),
    "metrics": (dict,), "groups": (dict, *NOTHING), "evidence": (dict, *NOTHING), "uncertainty": (dict, *NOTHING),
    "optimizer": (dict, *NOTHING), "steps": (int, *NOTHING), "evaluations": (int, *NOTHING),
    "seconds": (dict, *NOTHING), "expectations": (list,), "warnings": (list,), "config": (dict,), "provenance": (dict,),
}  # fmt: skip
PARAMETER: dict[str, tuple[type, ...]] = {
    "value": NUMBER + NOTHING, "error": NUMBER + NOTHING, "interval": (list, *NOTHING), "start": NUMBER + NOTHING,
    "min": NUMBER + NOTHING, "max": NUMBER + NOTHING, "fixed": (bool,), "tied": TEXT + NOTHING,
    "digits": NUMBER + NOTHING, "flags": (list,),
}  # fmt: skip
PARTS: dict[str, dict[str, tuple[type, ...]]] = {
    "loss": {"kind": TEXT, "initial": NUMBER + NOTHING, "final": NUMBER + NOTHING},
    "fit": {
        "rows": (int, *NOTHING), "free_parameters": (int,), "dof": (int, *NOTHING), "rss": NUMBER + NOTHING,
        "chi_square": NUMBER + NOTHING, "reduced_chi_square": NUMBER + NOTHING, "r_squared": NUMBER + NOTHING,
    },
    "metrics": {"train": (dict,), "validation": (dict,)},
    "evidence": {
        "optimality": NUMBER + NOTHING, "smallest_eigenvalue": NUMBER + NOTHING, "condition": NUMBER + NOTHING,
        "minimum": TEXT + NOTHING,
    },
    "uncertainty": {
        "kind": TEXT, "status": TEXT, "message": TEXT + NOTHING, "level": NUMBER + NOTHING,
        "correlation": (list, *NOTHING),
    },
    "optimizer": {"kind": TEXT},
    "seconds": {"compile": NUMBER, "run": NUMBER, "total": NUMBER},
}  # fmt: skip
ERROR: dict[str, tuple[type, ...]] = {
    "code": TEXT, "message": TEXT, "file": TEXT + NOTHING, "line": (int, *NOTHING), "column": (int, *NOTHING),
    "help": TEXT + NOTHING,
}  # fmt: skip
STATUSES = {"converged", "completed", "not_converged", "diverged", "failed", "interrupted"}


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def parsed(text: str) -> dict[str, Any]:
    """Return one strict JSON document, checked against the contract."""
    document: dict[str, Any] = json.loads(text, parse_constant=refuse)
    check(document, KEYS, "document")
    for name, keys in PARTS.items():
        if document[name] is not None:
            check(document[name], keys, name)
    for name, parameter in document["parameters"].items():
        check(parameter, PARAMETER, name)
        assert set(parameter["flags"]) <= {"at_bound", "not_identified", "fixed", "tied", "unused"}
    for error in document["errors"]:
        check(error, ERROR, "error")
    assert document["schema"] == "fitkit.result/1"
    assert document["status"] in STATUSES
    return document


def check(found: dict[str, Any], keys: dict[str, tuple[type, ...]], where: str) -> None:
    for key, types in keys.items():
        assert key in found, f"{where} lacks {key}"
        assert isinstance(found[key], types), f"{where}.{key} is {found[key]!r}"
        assert bool in types or not isinstance(found[key], bool), f"{where}.{key} is {found[key]!r}"


def test_a_fit_s_document_has_the_numbers_of_the_closed_form(tmp_path: Path) -> None:
    text = LINE.replace("parameters: {", "parameters: {held: {start: 2, fixed: true}, twice: {equals: 2 * slope}, ")
    text = text.replace("+ offset", "+ offset + 0 * held").replace("slope: 1", "slope: {start: 1, min: -9}")
    done = fitkit("train", written(tmp_path, "line.yaml", text), "--json", "--out", "run", cwd=tmp_path)
    document = parsed(done.out)
    assert done.code == document["exit_code"] == 0
    assert (document["status"], document["errors"], document["name"]) == ("converged", [], "line")
    assert done.err == "saved to run\n"
    assert parsed((tmp_path / "run/result.json").read_text()) == document

    parameters = document["parameters"]
    assert list(parameters) == ["held", "twice", "slope", "offset"]
    slope, offset, twice, held = (parameters[name] for name in ("slope", "offset", "twice", "held"))
    close = pytest.approx
    assert (slope["value"], offset["value"], twice["value"]) == close((0.8, 1.4, 1.6))
    s2 = 3.6 / 3
    assert (slope["error"], twice["error"], offset["error"]) == close(
        ((s2 / 10) ** 0.5, 2 * (s2 / 10) ** 0.5, (s2 * (1 / 5 + 4 / 10)) ** 0.5)
    )
    t975 = 3.182446305284263  # Student's, 3 degrees of freedom, from tables
    assert slope["interval"] == close([0.8 - t975 * slope["error"], 0.8 + t975 * slope["error"]])
    assert (slope["min"], slope["max"], slope["start"], slope["fixed"], slope["tied"]) == (-9, None, 1, False, None)
    assert (held["value"], held["fixed"], held["error"], held["flags"]) == (2, True, None, ["fixed"])
    assert (twice["tied"], twice["flags"]) == ("2 * slope", ["tied"])
    assert document["loss"]["final"] == close(3.6 / 5)
    assert document["fit"]["rss"] == close(3.6)
    assert document["fit"]["r_squared"] == close(0.64)
    assert (document["fit"]["rows"], document["fit"]["free_parameters"], document["fit"]["dof"]) == (5, 2, 3)
    assert (document["fit"]["chi_square"], document["fit"]["reduced_chi_square"]) == (None, None)
    correlation = document["uncertainty"]["correlation"]
    names = document["uncertainty"]["names"]
    i, j = names.index("slope"), names.index("offset")
    assert correlation[i][j] == correlation[j][i] == close(-2 / 6**0.5)  # -mean(x) / sqrt(mean(x²))
    assert document["evidence"]["minimum"] == "strict"
    assert 0 < document["seconds"]["run"] < document["seconds"]["total"]
    assert document["config"]["parameters"]["slope"]["min"] == -9
    provenance = document["provenance"]
    assert {"fitkit", "jax", "device", "precision", "seed", "data_sha256"} <= set(provenance)
    assert (provenance["precision"], provenance["seed"]) == ("float64", 0)


def test_numbers_that_do_not_exist_are_null(tmp_path: Path) -> None:
    config = written(tmp_path, "line.yaml", LINE)
    done = fitkit("train", config, "--json", "--no-save", "--set", "optimizer={kind: sgd, learning_rate: 10}")
    document = parsed(done.out)
    assert done.code == document["exit_code"] == 5
    assert (document["status"], document["reason"]) == ("diverged", "not_finite")
    assert document["loss"]["final"] is None
    assert all(p["error"] is p["interval"] is p["digits"] is None for p in document["parameters"].values())


CSV = "data: d.csv\nmodel: y ~ a * x\nparameters: {a: 1}\n"


@pytest.mark.parametrize(
    ("config", "arguments", "code", "reason", "places"),
    [
        (LINE + "los: mse\nseeed: 3\n", [], 2, "config", [("c.yaml", 4, 1), ("c.yaml", 5, 1)]),
        (CSV, [], 3, "data", [("d.csv", 3, 3)]),
        (LINE, ["--out", "d.csv"], 8, "file_system", [("d.csv", None, None)]),
        (LINE, ["--device", "tpu"], 7, "environment", [(None, None, None)]),
    ],
)
def test_a_failure_is_a_document_too_and_its_message_goes_to_standard_error(
    tmp_path: Path,
    config: str,
    arguments: list[str],
    code: int,
    reason: str,
    places: list[tuple[str | None, int | None, int | None]],
) -> None:
    written(tmp_path, "d.csv", "x,y\n1,2\n2,abc\n3,4\n")
    written(tmp_path, "c.yaml", config)
    done = fitkit("train", "c.yaml", "--json", *arguments, cwd=tmp_path, changes={"JAX_PLATFORMS": "cpu"})
    document = parsed(done.out)
    assert done.code == document["exit_code"] == code
    assert (document["status"], document["reason"], document["path"]) == ("failed", reason, "c.yaml")
    found = [(error["file"], error["line"], error["column"]) for error in document["errors"]]
    assert found == places
    for error in document["errors"]:
        assert f"error[{error['code']}]: {error['message']}" in done.err
        assert error["help"] in done.err
    assert document["message"] == document["errors"][0]["message"]


def test_a_bug_is_a_document_too(tmp_path: Path) -> None:
    config = written(tmp_path, "line.yaml", LINE)
    broken = "import fitkit.run.train as t, fitkit.cli.main as m; t.train = lambda *_: 1 / 0; m.main()"
    done = python("-c", broken, "train", str(config), "--json", changes={"TMPDIR": str(tmp_path)})
    document = parsed(done.out)
    assert done.code == document["exit_code"] == 1
    assert (document["status"], document["reason"], document["errors"]) == ("failed", "internal", [])


def test_under_an_ascii_locale_the_document_is_ascii_and_says_the_same(tmp_path: Path) -> None:
    text = 'name: "größe, 長さ"\n' + LINE
    done = fitkit(
        "train", written(tmp_path, "c.yaml", text), "--json", "--no-save", "--set", "stopping.max_steps=0",
        changes={"LC_ALL": "C"},
    )  # fmt: skip
    assert done.out.isascii()
    assert parsed(done.out)["name"] == "größe, 長さ"


def test_no_number_that_json_cannot_say_gets_into_it() -> None:
    nan, inf = float("nan"), float("inf")
    document = parsed(
        render(
            Result(
                name="n", path="n.yaml", status=Status.DIVERGED, exit_code=5, reason="not_finite", message="m",
                parameters={"a": FittedParameter(value=nan, interval=(-inf, inf))},
                loss=LossSummary(kind="mse", initial=inf, final=nan),
                uncertainty=UncertaintySummary(
                    kind="covariance", status="unavailable", message=None, level=0.95, names=("a",),
                    correlation=np.array([[nan]]),
                ),
                config={"parameters": {"a": {"max": inf}}},
            )
        )
    )  # fmt: skip
    assert document["parameters"]["a"]["value"] is None
    assert document["parameters"]["a"]["interval"] == [None, None]
    assert (document["loss"]["initial"], document["loss"]["final"]) == (None, None)
    assert document["uncertainty"]["correlation"] == [[None]]
    assert document["config"]["parameters"]["a"]["max"] is None
