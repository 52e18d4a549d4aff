"""Start-up: what a command does not need it does not import. JAX alone costs half a second."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import ROOT, python, written

HEAVY = {"jax", "jaxlib", "scipy", "optax", "polars"}
LISTED = """
import sys
from fitkit.cli.main import main
try:
    main()
finally:
    import json
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def imported(*arguments: str, cwd: Path = ROOT) -> set[str]:
    """Run a command, and return the modules that were imported at its end."""
    done = python("-c", LISTED, *arguments, cwd=cwd)
    assert done.code == 0, done.err
    modules: list[str] = json.loads(done.err.splitlines()[-1])
    assert "fitkit.cli.main" in modules
    return set(modules)


@pytest.mark.parametrize(
    "arguments",
    ["--help", "--version", "train --help", "list --help", "list", "schema", "validate configs/line.yaml",
     "validate configs", "validate --help", "doctor --help", "compare --help"],
)  # fmt: skip
def test_what_computes_nothing_imports_nothing_that_computes(arguments: str) -> None:
    assert imported(*arguments.split()) & (HEAVY | {"numpy"}) == set()


def test_reading_whole_tables_imports_numpy_alone() -> None:
    assert imported("validate", "--data", "configs/line.yaml") & HEAVY == set()


def test_help_imports_neither_pydantic_nor_yaml_nor_rich() -> None:
    assert imported("--help") & {"pydantic", "yaml", "rich"} == set()


def test_a_fit_of_a_table_imports_no_polars_no_optax_and_no_scipy(tmp_path: Path) -> None:
    written(tmp_path, "d.csv", "x,y\n" + "".join(f"{x},{3 * x + x % 2}\n" for x in range(9)))
    written(tmp_path, "c.yaml", "data: d.csv\nmodel: y ~ a * x + b\nparameters: {a: 1, b: 0}\n")
    modules = imported("train", "c.yaml", "--no-save", cwd=tmp_path)
    assert "jax" in modules
    assert modules & {"polars", "optax", "scipy.stats", "scipy.optimize", "rich.live"} == set()


def test_importing_fitkit_alone_is_free() -> None:
    done = python("-c", "import sys; before = set(sys.modules); import fitkit; print(len(set(sys.modules) - before))")
    assert int(done.out) <= 2
