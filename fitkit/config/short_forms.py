"""Short forms written out: `loss: mse` becomes `loss: {kind: mse}`, so that everything after sees maps only."""

from __future__ import annotations

from typing import Final

from fitkit.yaml_text import Entry, Mapping, Node, Scalar, Sequence

_SECTIONS: Final = {"data": "path", "model": "formula", "loss": "kind", "optimizer": "kind", "uncertainty": "kind"}
_IMPLIED: Final = {"model": ("formula", "formula"), "uncertainty": ("level", "covariance")}
"""Kinds that a key gives away: a model with a formula is of kind formula."""


def write_out(root: Mapping) -> Mapping:
    """Return the config with the short forms of its sections and parameters written out as maps."""
    entries = dict(root.entries)
    for section, key in _SECTIONS.items():
        if section in entries:
            entries[section] = Entry(entries[section].place, _section(section, key, entries[section]))
    optimizer = entries.get("optimizer")
    if optimizer is not None and isinstance(optimizer.node, Mapping) and "schedule" in optimizer.node.entries:
        schedule = optimizer.node.entries["schedule"]
        written = {**optimizer.node.entries, "schedule": Entry(schedule.place, _section("schedule", "kind", schedule))}
        entries["optimizer"] = Entry(optimizer.place, Mapping(optimizer.node.place, written))
    parameters = entries.get("parameters")
    if parameters is not None and isinstance(parameters.node, Mapping):
        each = {name: Entry(entry.place, _parameter(entry)) for name, entry in parameters.node.entries.items()}
        entries["parameters"] = Entry(parameters.place, Mapping(parameters.node.place, each))
    if "check_grad" in entries:
        entries["check_grad"] = Entry(entries["check_grad"].place, _check_grad(entries["check_grad"].node))
    return Mapping(root.place, entries)


def _check_grad(node: Node) -> Node:
    """Write out claims that are a bare formula, domains that are a list of two, and a bare name of a parameter."""
    if not isinstance(node, Mapping):
        return node
    entries = dict(node.entries)
    for key, written in (("claims", _claim), ("domain", _domain)):
        part = entries.get(key)
        if part is not None and isinstance(part.node, Mapping):
            each = {name: Entry(entry.place, written(entry.node)) for name, entry in part.node.entries.items()}
            entries[key] = Entry(part.place, Mapping(part.node.place, each))
    stopped = entries.get("allow_stop_gradient")
    if stopped is not None and isinstance(stopped.node, Scalar) and isinstance(stopped.node.value, str):
        entries["allow_stop_gradient"] = Entry(stopped.place, Sequence(stopped.node.place, (stopped.node,)))
    return Mapping(node.place, entries)


def _claim(node: Node) -> Node:
    if isinstance(node, Scalar) and isinstance(node.value, str | int | float):
        return Mapping(node.place, {"formula": Entry(node.place, node)})
    return node


def _domain(node: Node) -> Node:
    if isinstance(node, Sequence) and len(node.items) == 2:
        ends = zip(("min", "max"), node.items, strict=True)
        return Mapping(node.place, {key: Entry(item.place, item) for key, item in ends})
    return node


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
