"""JUnit documents, as GitLab, Jenkins and GitHub's viewers read them.

What is written is valid by both schemas that are published: Jenkins' `junit-10.xsd` (its xunit plugin), and Windy Road's of
the Apache Ant task, which is the strictest: totals stand on each suite and none at the root, each suite has properties,
output and the time it was made at, and a case has one of skipped, error and failure at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, final
from xml.etree import ElementTree as ET

_LONGEST_MESSAGE = 200
"""Of the attribute that viewers show as a headline; the text is whole."""


@final
@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that holds, or does not."""

    name: str
    verdict: Literal["passed", "failure", "error", "skipped"] = "passed"
    kind: str = ""
    """One word for why: `time_limit`."""
    message: str = ""
    """The headline; the text's beginning by default."""
    text: str = ""
    seconds: float = 0.0


@final
@dataclass(frozen=True, kw_only=True)
class Suite:
    """The cases of one config."""

    name: str
    cases: Sequence[Case]
    seconds: float
    output: str = ""
    """What else there is to say."""


def render(package: str, suites: Iterable[Suite]) -> str:
    """Return the document.

    Args:
        package: what wrote it: `fitkit batch`.
        suites: in order.
    """
    root = ET.Element("testsuites")
    made_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    for number, suite in enumerate(suites):
        root.append(_suite(suite, number, package, made_at))
    ET.indent(root)
    return "<?xml version='1.0' encoding='utf-8'?>\n" + ET.tostring(root, encoding="unicode") + "\n"


def _suite(suite: Suite, number: int, package: str, made_at: str) -> ET.Element:
    name = xml_text(suite.name) or "-"
    element = ET.Element("testsuite", name=name, package=package, id=str(number), timestamp=made_at)
    element.set("hostname", "localhost")
    element.set("tests", str(len(suite.cases)))
    for key, verdict in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(key, str(sum(case.verdict == verdict for case in suite.cases)))
    element.set("time", f"{suite.seconds:.3f}")
    ET.SubElement(element, "properties")
    element.extend([_case(case, name) for case in suite.cases])
    ET.SubElement(element, "system-out").text = xml_text(suite.output)
    ET.SubElement(element, "system-err")
    return element


def _case(case: Case, suite: str) -> ET.Element:
    element = ET.Element("testcase", classname=suite, name=xml_text(case.name), time=f"{case.seconds:.3f}")
    text = xml_text(case.text)
    message = (xml_text(case.message) or text)[:_LONGEST_MESSAGE]
    if case.verdict == "skipped":
        ET.SubElement(element, "skipped", message=message)
    elif case.verdict != "passed":
        ET.SubElement(element, case.verdict, type=case.kind or case.verdict, message=message).text = text
    return element


def xml_text(text: str) -> str:
    """Return text that XML 1.0 can hold: characters that it cannot are spelled as escapes."""
    return "".join(c if _allowed(ord(c)) else c.encode("unicode_escape").decode("ascii") for c in text)


def _allowed(code: int) -> bool:
    return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000
