"""YAML as fitkit reads it: text to a tree that knows where everything stands, and plain values back to text.

PyYAML scans and parses; its events become nodes of our own with file, line, column and length. What a scalar means is
decided here by YAML 1.2's core schema (`1e-3` is a number, `no` a string, `017` is 17). Aliases, anchors, tags, merge
keys, duplicate keys, several documents and nesting beyond 32 are refused.
"""

from __future__ import annotations

from fitkit.yaml_text.decode import MOST_BYTES, decode
from fitkit.yaml_text.inside import inside
from fitkit.yaml_text.nodes import Broken, Entry, Mapping, Node, Place, Scalar, Sequence, Text, plain
from fitkit.yaml_text.parse import DEEPEST, MOST_NODES, Document, parse
from fitkit.yaml_text.scalars import Value, resolve
from fitkit.yaml_text.write import dump

__all__ = [
    "DEEPEST",
    "MOST_BYTES",
    "MOST_NODES",
    "Broken",
    "Document",
    "Entry",
    "Mapping",
    "Node",
    "Place",
    "Scalar",
    "Sequence",
    "Text",
    "Value",
    "decode",
    "dump",
    "inside",
    "parse",
    "plain",
    "resolve",
]
