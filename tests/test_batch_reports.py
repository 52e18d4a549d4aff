"""What a batch tells machines: JUnit by an independent parser and by the rules of the published schemas, and the others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from batches import DIVERGES, LINE, TYPO, batch, python_model
from command import here, written
from junitparser import JUnitXml
from markdown_it import MarkdownIt

from fitkit.errors import FileSystemFault
from fitkit.run.report_file import write_report

EXPECTS = f"{LINE}expect: {{parameters: {{slope: {{value: 0.8, atol: 0.001}}, offset: {{max: 1}}}}}}\n"
LONG = "0123456789" * 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Configs of every kind of outcome."""
    folder = tmp_path_factory.mktemp("mixed")
    written(folder, "diverges.yaml", DIVERGES)
    written(folder, "expects.yaml", EXPECTS)
    written(folder, "typo.yaml", TYPO)
    written(folder, "many.yaml", f"{LINE}name: a|b *c*\nmatrix: {{seed: [0, 1]}}\n")
    python_model(folder, "odd")
    return folder


@pytest.fixture(scope="module")
def documents(folder: Path) -> list[dict[str, Any]]:
    """What the batch prints, with every report beside it."""
    done, found = batch(
        folder, "--no-save", "--allow-python", "--junit", folder / "junit.xml", "--markdown", folder / "page.md",
        "--results", folder / "results.jsonl",
    )  # fmt: skip
    assert done.code == 10
    return found


def test_junit_by_an_independent_parser(folder: Path, documents: list[dict[str, Any]]) -> None:
    suites = {Path(str(suite.name)).stem: suite for suite in JUnitXml.fromfile(str(folder / "junit.xml"))}
    assert set(suites) == {"diverges", "expects", "typo", "many", "odd"}
    cases = {str(case.name): case for suite in suites.values() for case in suite}
    assert set(cases) == {
        *(one["name"] for one in documents), "expects: parameters.slope", "expects: parameters.offset",
    }  # fmt: skip
    verdicts = {name: [type(one).__name__ for one in case.result] for name, case in cases.items()}
    assert verdicts == {
        "diverges": ["Failure"], "expects": [], "expects: parameters.slope": [],
        "expects: parameters.offset": ["Failure"], "typo": ["Error"], "odd": ["Error"],
        "a|b *c*[seed=0]": [], "a|b *c*[seed=1]": [],
    }  # fmt: skip
    assert (suites["expects"].tests, suites["expects"].failures, suites["expects"].errors) == (3, 1, 0)
    assert (suites["many"].tests, suites["typo"].errors) == (2, 1)
    assert cases["diverges"].result[0].type == "not_finite"
    assert "did you mean" in str(cases["typo"].result[0].text)


def test_control_characters_and_long_messages_survive(folder: Path, documents: list[dict[str, Any]]) -> None:
    (odd,) = (one for one in documents if one["name"] == "odd")
    assert LONG in odd["errors"][0]["message"]
    (suite,) = (s for s in JUnitXml.fromfile(str(folder / "junit.xml")) if str(s.name).endswith("odd.yaml"))
    (case,) = suite
    text = str(case.result[0].text)
    assert LONG in text
    assert "odd \\x00\\x1b[31m text" in text


def assert_valid_by_the_published_schemas(root: ET.Element) -> None:
    """Assert the rules of Jenkins' junit-10.xsd and of Windy Road's JUnit.xsd, of which the stricter one counts."""
    assert root.tag == "testsuites"
    assert root.attrib == {}, "Windy Road's knows no totals at the root"
    for number, suite in enumerate(root):
        assert suite.tag == "testsuite"
        assert set(suite.attrib) == {
            "name", "package", "id", "timestamp", "hostname", "tests", "failures", "errors", "skipped", "time",
        }  # fmt: skip
        assert suite.get("id") == str(number)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp", ""))
        assert re.fullmatch(r"\d+\.\d+", suite.get("time", ""))
        tags = [child.tag for child in suite]
        cases = suite.findall("testcase")
        assert tags == ["properties", *["testcase"] * len(cases), "system-out", "system-err"]
        assert suite.get("tests") == str(len(cases))
        for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert suite.get(key) == str(len(suite.findall(f"testcase/{tag}")))
        for case in cases:
            assert set(case.attrib) == {"name", "classname", "time"}
            assert all(case.attrib.values())
            assert len(case) <= 1
            for child in case:
                assert child.tag in {"skipped", "failure", "error"}
                assert set(child.attrib) == ({"message"} if child.tag == "skipped" else {"type", "message"})


@pytest.mark.usefixtures("documents")
def test_junit_by_the_published_schemas(folder: Path, tmp_path: Path) -> None:
    assert_valid_by_the_published_schemas(ET.parse(folder / "junit.xml").getroot())  # noqa: S314 - our own
    junit = tmp_path / "junit.xml"
    here("batch", folder, "--no-save", "--fail-fast", "--junit", junit, "-q")
    root = ET.parse(junit).getroot()  # noqa: S314 - our own
    assert_valid_by_the_published_schemas(root)
    assert len(root.findall("testsuite/testcase/skipped")) == 5
    here("check-grad", folder / "typo.yaml", folder / "expects.yaml", "--at", "start", "--junit", junit, "-q")
    assert_valid_by_the_published_schemas(ET.parse(junit).getroot())  # noqa: S314 - our own


def test_every_fit_has_its_line_in_the_results(folder: Path, documents: list[dict[str, Any]]) -> None:
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert lines == documents
    for one in lines:
        assert {"name", "path", "status", "reason", "exit_code", "errors", "compilations", "resumed"} <= set(one)


@pytest.mark.usefixtures("documents")
def test_markdown_has_what_failed_first_and_shows_names_as_they_are(folder: Path) -> None:
    page = (folder / "page.md").read_text()
    assert page.startswith("### fitkit batch: failed (exit 10)\n")
    assert page.index("| typo |") < page.index(r"| a\|b \*c\*\[seed=0\] |")
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", page)
    tokens = MarkdownIt("commonmark").enable("table").parse(page)
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline" and rows:
            rows[-1].append("".join(part.content for part in token.children or ()))
    assert ["expects: parameters.offset", "<= 1", "1.4"] in rows
    assert ["a|b *c*[seed=0]", "converged", "0.72"] in [row[:3] for row in rows]
    assert [row[0] for row in rows if len(row) == 4] == ["failed", "diverges", "expects", "odd", "typo"]
    assert max(len(cell) for row in rows for cell in row) <= 500


def test_github_gets_ten_annotations_at_their_lines_and_a_summary(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "typos.yaml", f"{TYPO}matrix: {{seed: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]}}\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(folder.parent))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    done = here("batch", folder, "--no-save", "--filter", "typo", "--filter", "expects", "--filter", "diverges")
    told = [line for line in done.err.splitlines() if line.startswith("::")]
    name = folder.name
    assert [line[2:].partition("::")[0] for line in told] == [
        f"error file={name}/diverges.yaml,line=1,title=diverges",
        f"error file={name}/expects.yaml,line=4,col=57,title=expects",
        f"error file={name}/typo.yaml,line=2,col=12,title=typo",
    ]
    assert told[2].endswith("%0Ahelp: did you mean `slop`?")
    assert (tmp_path / "summary.md").read_text().startswith("### fitkit batch: failed (exit 10)")
    done = here("batch", tmp_path, "--no-save")
    told = [line for line in done.err.splitlines() if line.startswith("::")]
    assert (len(told), told[-1]) == (10, "::error::and 2 more; the summary of the step has all")
    assert done.code == 2


@pytest.mark.parametrize("report", ["--junit", "--markdown", "--results"])
def test_reports_that_cannot_be_written_end_the_batch_before_it_begins(tmp_path: Path, report: str) -> None:
    config = written(tmp_path, "line.yaml", LINE)
    for place, why in (("no/such/file", "there is no folder"), (".", "is a folder"), ("line.yaml", "is a config")):
        done = here("batch", config, "--no-save", report, tmp_path / place)
        assert (done.code, done.out) == (8, "")
        assert why in done.err
        assert "= help: name a file in a folder of yours" in done.err
    assert config.read_text() == LINE


def test_a_report_that_the_disk_refuses_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileSystemFault, match="Is a directory"):
        write_report(str(tmp_path / "folder"), "text")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def test_a_batch_that_does_not_begin_keeps_the_results_of_the_last(tmp_path: Path) -> None:
    results = written(tmp_path, "results.jsonl", "of the last batch")
    assert here("batch", written(tmp_path, "line.yaml", LINE), "--out", tmp_path, "--results", results).code == 8
    assert results.read_text() == "of the last batch"


def test_a_full_disk_ends_a_batch_with_what_was_done_and_the_code_for_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        written(tmp_path, f"{name}.yaml", LINE)
    junit = tmp_path / "junit.xml"
    done = here("batch", tmp_path, "--no-save", "--fail-fast", "--results", "/dev/full", "--junit", junit)
    assert done.code == 8
    assert "/dev/full" in done.err
    assert "1 not run" in done.out
    assert {case.name for suite in JUnitXml.fromfile(str(junit)) for case in suite} >= {"a", "b"}


def test_a_name_gives_the_terminal_and_the_pipeline_no_orders(tmp_path: Path) -> None:
    name = "x\\n::error title=forged::hello\\u001b[31m"
    config = written(tmp_path, "fit.yaml", f'name: "{name}"\n{LINE.replace("slope: 1", "slop: 1")}')
    out = here("batch", config, "--no-save").out
    assert "\x1b" not in out
    assert not [line for line in out.splitlines() if line.startswith("::")]
