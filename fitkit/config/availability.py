"""Keys and kinds of the language that cannot be used yet: each is refused, none is accepted and ignored."""

from __future__ import annotations

from fitkit.config.kinds import LATER_KEYS, LATER_KINDS
from fitkit.errors import Diagnostic
from fitkit.yaml_text import Broken, Entry, Mapping, Node, Place, Scalar


def refuse_unavailable(root: Mapping) -> tuple[Mapping, list[Diagnostic]]:
    """Return the config without what is not available yet, and a diagnostic for each such key or kind."""
    problems: list[Diagnostic] = []
    entries = {}
    for name, entry in _without(root, LATER_KEYS[""], problems).entries.items():
        node = entry.node
        if isinstance(node, Mapping) and name == "parameters":
            each = {n: Entry(e.place, _strip(e.node, "parameters", problems)) for n, e in node.entries.items()}
            node = Mapping(node.place, each)
        else:
            node = _kind(name, _strip(node, name, problems), problems)
        entries[name] = Entry(entry.place, node)
    return Mapping(root.place, entries), problems


def _strip(node: Node, section: str, problems: list[Diagnostic]) -> Node:
    return (
        _without(node, LATER_KEYS[section], problems) if isinstance(node, Mapping) and section in LATER_KEYS else node
    )


def _without(node: Mapping, later: frozenset[str], problems: list[Diagnostic]) -> Mapping:
    problems.extend(_refusal(entry.place, f"`{key}`") for key, entry in node.entries.items() if key in later)
    return Mapping(node.place, {key: entry for key, entry in node.entries.items() if key not in later})


def _kind(section: str, node: Node, problems: list[Diagnostic]) -> Node:
    """Refuse a kind that is still to come; what is left of the section cannot be judged."""
    if not isinstance(node, Mapping) or section not in LATER_KINDS:
        return node
    kind = node.entries.get("kind")
    if kind is not None and isinstance(kind.node, Scalar) and kind.node.value in LATER_KINDS[section]:
        problems.append(_refusal(kind.node.place, f"{section} `{kind.node.value}`"))
        return Broken(node.place)
    return node


def _refusal(place: Place, what: str) -> Diagnostic:
    way_out = "it belongs to the config language, and comes with a later version"
    return place.diagnostic("E110", f"{what} is not available yet", way_out)
