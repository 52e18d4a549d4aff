"""The reference problems: where their data lie, and what is certified of each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, final

from fitkit.errors import Diagnostic, EnvironmentFault

_PLACES: Final = (Path(__file__).parent / "nist", Path(__file__).parents[2] / "datasets" / "nist")
"""In an installed wheel the data lie beside this file, in a checkout they are its data sets."""


@final
@dataclass(frozen=True, kw_only=True)
class ReferenceProblem:
    """One problem of NIST's Statistical Reference Datasets (https://www.itl.nist.gov/div898/strd/)."""

    name: str
    kind: Literal["nonlinear", "linear"]
    difficulty: str
    """NIST's own word: lower, average or higher."""
    starts: tuple[tuple[float, ...], ...]
    """The certified starts, the first far and the second near; a linear problem has none."""
    values: tuple[float, ...]
    """The right parameters, as exactly as they are known."""
    errors: tuple[float, ...]
    """Their certified standard deviations."""
    certified_to: int
    """Digits to which `values` are known."""
    errors_certified_to: int
    """Digits to which `errors` are known."""
    data: dict[str, str]
    """The `data` section of a config."""
    model: str | dict[str, Any]
    """Its `model` section."""
    parameter_names: tuple[str, ...]

    def config(self, start: int | None, optimizer: str) -> dict[str, Any]:
        """Return a config that leaves everything but the optimizer at its default, from start 1 or 2, or None."""
        config = {"name": self.name, "data": self.data, "model": self.model, "optimizer": optimizer}
        if start is None:
            return config
        return config | {"parameters": dict(zip(self.parameter_names, self.starts[start - 1], strict=True))}


def reference_problems() -> dict[str, ReferenceProblem]:
    """Return all problems by name, the nonlinear ones first, in NIST's order.

    Raises:
        EnvironmentFault: the data are not where the package keeps them.
    """
    folder = _folder()
    certified = json.loads((folder / "certified.json").read_text(encoding="utf-8"))
    found = [_nonlinear(name, entry, folder) for name, entry in certified["nonlinear"].items()]
    found += [_linear(name, entry, folder) for name, entry in certified["linear"].items()]
    return {problem.name: problem for problem in found}


def _folder() -> Path:
    for place in _PLACES:
        if (place / "certified.json").is_file():
            return place
    raise EnvironmentFault(Diagnostic(
        code="E703",
        message="the reference data of NIST are missing from this installation",
        file=str(_PLACES[0]),
        help="install fitkit again, or run from a checkout with its `datasets` folder",
    ))  # fmt: skip


def _nonlinear(name: str, entry: dict[str, Any], folder: Path) -> ReferenceProblem:
    left = entry["response_transform"] or entry["response"]
    exact = entry.get("optimum_60_digits")
    return ReferenceProblem(
        name=name,
        kind="nonlinear",
        difficulty=entry["difficulty"].lower(),
        starts=(tuple(entry["start1"]), tuple(entry["start2"])),
        values=tuple(float(number) for number in exact or entry["certified"]),
        errors=tuple(entry["certified_std"]),
        certified_to=20 if exact else 11,
        errors_certified_to=11,
        data={"path": str(folder / entry["file"])},
        model=f"{left} ~ {entry['formula']}",
        parameter_names=tuple(entry["parameter_names"]),
    )


def _linear(name: str, entry: dict[str, Any], folder: Path) -> ReferenceProblem:
    return ReferenceProblem(
        name=name,
        kind="linear",
        difficulty=entry["difficulty"].lower(),
        starts=(),
        values=tuple(float(number) for number in entry["exact_beta_17g"]),
        errors=tuple(float(number) for number in entry["exact_std_17g"]),
        certified_to=17,
        errors_certified_to=17,
        data={"path": str(folder / entry["file"])},
        model=_linear_model(entry),
        parameter_names=tuple(entry["parameter_names"]),
    )


def _linear_model(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the section of a line, a plane or a polynomial."""
    columns = {"target": entry["response"]}
    degree = sum("x" in term for term in entry["design_terms"])
    if len(entry["predictors"]) == 1 and degree > 1:
        return {"kind": "polynomial", "input": entry["predictors"][0], "degree": degree, **columns}
    return {"kind": "linear", "inputs": entry["predictors"], "intercept": entry["intercept"], **columns}
