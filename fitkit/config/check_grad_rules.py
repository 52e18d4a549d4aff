"""Rules of the section `check_grad`: whose derivatives are claimed, and whose policies are given."""

from __future__ import annotations

from collections.abc import Iterator

from fitkit.config.parameter_names import no_parameter, parameter_names
from fitkit.config.sections import Sections
from fitkit.config.tree import Path
from fitkit.errors import Diagnostic
from fitkit.gradient_policy import CheckGrad


def check_grad_rules(sections: Sections) -> Iterator[Diagnostic]:
    """Yield what is wrong with the parameters that the section names, and with its numbers."""
    section = sections.get("check_grad")
    if not isinstance(section, CheckGrad):
        return
    known = parameter_names(sections)
    if known is not None:
        yield from _names(sections, section, known)
    if isinstance(section.scale, float) and section.scale <= 0:
        yield _not_positive(sections, ("check_grad", "scale"), section.scale)
    for name, scale in (section.scale if isinstance(section.scale, dict) else {}).items():
        if scale <= 0:
            yield _not_positive(sections, ("check_grad", "scale", name), scale)
    for name, domain in section.domain.items():
        low, high = domain.min, domain.max
        if low is not None and high is not None and low >= high:
            message = f"the domain of `{name}` is from {low:g} to {high:g}: nothing lies between them"
            yield sections.tree.diagnostic(("check_grad", "domain", name), "E112", message, value=True)


def _names(sections: Sections, section: CheckGrad, known: tuple[str, ...]) -> Iterator[Diagnostic]:
    tree = sections.tree
    scaled = section.scale if isinstance(section.scale, dict) else {}
    for key, names in (("claims", section.claims), ("scale", scaled), ("domain", section.domain)):
        for name in names:
            if name not in known:
                yield no_parameter(tree, name, ("check_grad", key, name), known)
    for index, name in enumerate(section.allow_stop_gradient):
        if name not in known:
            yield no_parameter(tree, name, ("check_grad", "allow_stop_gradient", index), known, value=True)
    for name in section.claims:
        parameter = sections.parameters.get(name)
        if parameter is not None and parameter.shape is not None:
            message = f"`{name}` is an array, and a claim is a derivative by one number"
            yield tree.diagnostic(
                ("check_grad", "claims", name), "E122", message, "claim by parameters that are numbers"
            )
        if parameter is not None and parameter.equals is not None:
            message = f"`{name}` is tied, so nothing has a derivative by it: it is computed from other parameters"
            yield tree.diagnostic(
                ("check_grad", "claims", name), "E122", message, "claim the derivative by one of those"
            )


def _not_positive(sections: Sections, path: Path, scale: float) -> Diagnostic:
    message = f"a `scale` must be above 0, not {scale:g}"
    return sections.tree.diagnostic(path, "E109", message, value=True)
