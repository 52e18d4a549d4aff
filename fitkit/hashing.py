"""Random bits by hashing a counter: in compiled code they cost less than reading a number from memory.

The same on every device, for each is a function of its place alone. The hash is the finalizer of A. Appleby's MurmurHash3.
"""

from __future__ import annotations

from typing import Any

from fitkit.backend import jnp


def hashed(word: Any) -> Any:
    """Return a bijection of 32-bit words, uint32, in which every bit of the result depends on every bit given."""
    word = (word ^ (word >> 16)) * jnp.uint32(0x85EBCA6B)
    word = (word ^ (word >> 13)) * jnp.uint32(0xC2B2AE35)
    return word ^ (word >> 16)


def salted(word: Any, salt: Any) -> Any:
    """Return another such bijection for each salt, uint32."""
    return hashed(hashed(word ^ salt) + salt)
