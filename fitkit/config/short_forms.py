"""Short forms written out: `loss: mse` becomes `loss: {kind: mse}`, so that everything after sees maps only."""

from __future__ import annotations

from typing import Final

from fitkit.yaml_text import Entry, Mapping, Node, Scalar

_SECTIONS: Final = {"data": "path", "model": "formula", "loss": "kind", "optimizer": "kind", "uncertainty": "kind"}
_IMPLIED: Final = {"model": ("formula", "formula"), "uncertainty": ("level", "covariance")}
"""Kinds that a key gives away: a model with a formula is of kind formula."""


def write_out(root: Mapping) -> Mapping:
    """Return the config with the short forms of its sections and parameters written out as maps."""
    entries = dict(root.entries)
    for section, key in _SECTIONS.items():
        if section in entries:
            entries[section] = Entry(entries[section].place, _section(section, key, entries[section]))
    parameters = entries.get("parameters")
    if parameters is not None and isinstance(parameters.node, Mapping):
        each = {name: Entry(entry.place, _parameter(entry)) for name, entry in parameters.node.entries.items()}
        entries["parameters"] = Entry(parameters.place, Mapping(parameters.node.place, each))
    return Mapping(root.place, entries)


def _section(section: str, key: str, entry: Entry) -> Node:
    node = entry.node
    if isinstance(node, Scalar) and isinstance(node.value, str):
        node = Mapping(node.place, {key: Entry(node.place, node)})
    if isinstance(node, Mapping) and section in _IMPLIED and "kind" not in node.entries:
        sign, kind = _IMPLIED[section]
        if sign in node.entries:
            implied = Entry(entry.place, Scalar(entry.place, kind, kind))
            node = Mapping(node.place, {"kind": implied, **node.entries})
    return node


def _parameter(entry: Entry) -> Node:
    node = entry.node
    if isinstance(node, Scalar) and isinstance(node.value, str | int | float):
        return Mapping(node.place, {"start": Entry(node.place, node)})
    return node
