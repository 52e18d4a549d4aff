"""The parameters that the section `check_grad` names, once the table has told which there are."""

from __future__ import annotations

from fitkit.config import ConfigSource
from fitkit.errors import ConfigError, did_you_mean, one_of
from fitkit.run.assemble import Assembled


def known_parameters(source: ConfigSource, assembled: Assembled) -> None:
    """Refuse names in `check_grad` that are no parameters: those of coded inputs are known only now.

    Raises:
        ConfigError: with the place of every such name.
    """
    section = source.config.check_grad
    known = tuple(dict.fromkeys((*assembled.parameters, *assembled.problem.layout.names)))
    scaled = section.scale if isinstance(section.scale, dict) else {}
    places: list[tuple[str, tuple[str | int, ...]]] = []
    for key, names in (("claims", section.claims), ("scale", scaled), ("domain", section.domain)):
        places += [(name, ("check_grad", key, name)) for name in names]
    places += [(name, ("check_grad", "allow_stop_gradient", i)) for i, name in enumerate(section.allow_stop_gradient)]
    mistakes = [
        source.diagnostic(
            path, "E120", f"`{name}` is no parameter", did_you_mean(name, known) or one_of(known[:20]),
            value=path[1] == "allow_stop_gradient",
        )
        for name, path in places
        if name not in known
    ]  # fmt: skip
    if mistakes:
        raise ConfigError(*mistakes)
