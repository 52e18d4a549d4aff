"""Hostile configs are refused within a second and 100 MB, and checking a config imports none of the heavy packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MEASURE = """
import pathlib, re, sys, time
from fitkit.config import load
from fitkit.errors import ConfigError
begin = time.process_time()
try:
    load(sys.argv[1])
except ConfigError as error:
    print(error.diagnostics[0].code)
print(time.process_time() - begin)
status = pathlib.Path("/proc/self/status")  # getrusage also counts the process that started this one
print(int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) / 1024 if status.exists() else 0)
"""


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"a: " + b"[" * 40_000, "E103"),
        (b"a: " + b"{a: " * 40_000, "E103"),
        (b"- " * 40_000, "E103"),
        (b"? " * 40_000, "E102"),
        (b"".join(b" " * depth + b"a:\n" for depth in range(3_000)), "E103"),
        (b"a: " + b"(" * 5_000_000, "E104"),
        (b"minimize: " + b"(" * 1_000_000, "E206"),
        (b"a: [" + b"1," * 4_500_000 + b"1]", "E103"),
        (b"x" * 10_000_001, "E101"),
        (b"x" * 9_999_999, "E108"),
        (b"a: &a [x]\n" + b"b: [*a,*a,*a,*a]\n" * 100_000, "E103"),
        (b"a: '" + b"x" * 9_000_000, "E102"),
        (b"a: 1\n" * 60_000, "E103"),
        (b"a: 1\n" * 20_000, "E104"),
        (b"seed: " + b"9" * 9_000_000, "E105"),
        (b"\0" * 9_000_000, "E101"),
        (b"a: 1\n" + b"\xff" * 9_000_000, "E101"),
        (b"!!python/object/apply:os.system [ls]", "E103"),
        (b"".join(b"k%d: 1\n" % key for key in range(20_000)), "E104"),
        (b"minimize: 1\nstopping:\n" + b"".join(b" k%d: 1\n" % key for key in range(20_000)), "E104"),
        (b"minimize: a\nparameters:\n" + b"".join(b" b%d: {equals: c%d}\n" % (k, k) for k in range(5_000)), "E120"),
        (b"minimize: a\ndefinitions:\n" + b"".join(b" b%d: 1\n" % k for k in range(20_000)), "E103"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value[:12]),
)
def test_hostile_configs_are_refused_fast_and_small(content: bytes, code: str, tmp_path: Path) -> None:
    (tmp_path / "fit.yaml").write_bytes(content)
    out = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "fit.yaml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert out[0] == code
    assert float(out[1]) < 1
    assert float(out[2]) < 100


def test_validate_imports_nothing_heavy() -> None:
    program = """
import sys, pathlib
from fitkit.config import validate
for path in sorted(pathlib.Path("configs").rglob("*.yaml")):
    validate(str(path))
heavy = {"jax", "jaxlib", "numpy", "scipy", "polars", "optax", "rich", "jaxtyping"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
