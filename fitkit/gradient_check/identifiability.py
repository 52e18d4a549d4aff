"""Which combinations of parameters the residuals do not see: the null directions of the scaled Jacobian."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from fitkit.backend import Kernel, jax, jnp
from fitkit.gradient_check.modes import directional, refusal, traced
from fitkit.gradient_check.program import CHEAP
from fitkit.gradient_check.structure import called, structure, trace
from fitkit.gradient_check.subject import Subject

Vector = NDArray[np.float64]
EPSILON = float(np.finfo(float).eps)

DENSE_UP_TO = 2000
"""Parameters up to which the Jacobian is decomposed whole."""
DENSE_NUMBERS = 20_000_000
LANCZOS_STEPS = 60


@final
@dataclass(frozen=True, kw_only=True)
class Blind:
    """A direction in which the residuals hardly change."""

    share: float
    """Its singular value over the largest."""
    direction: Vector
    """In units of the parameters' sizes, shape (free,), of unit length."""
    exact: bool
    """Whether rounding alone explains the singular value."""


def blind_directions(residuals: Callable[[Any], Any], points: Sequence[tuple[Vector, Vector]]) -> list[Blind | None]:
    """Return for each point and its parameters' sizes the direction that the residuals see least, None if they see all.

    The columns of the Jacobian are scaled by the parameters' sizes and then to unit length, so that no unit matters; a
    column of zeros is another finding (unused). A direction is not seen at all where its singular value is below
    max(rows, free) eps sigma_1, and weakly below sqrt(eps) sigma_1 (G. H. Golub, C. F. Van Loan, Matrix Computations,
    on numerical rank).
    """
    first = points[0][0]
    rows, free = int(np.prod(jax.eval_shape(residuals, jnp.asarray(first)).shape)), len(first)
    if free <= DENSE_UP_TO and rows * free <= DENSE_NUMBERS:
        program = _jacobian(residuals, first, rows)
        if program is None:
            return []
        spectra = [_dense(np.asarray(program(jnp.asarray(theta)), float) * scale) for theta, scale in points]
    elif refusal(directional(residuals), first, first) is not None:
        return []
    else:
        products = _products(residuals, first)
        spectra = [_lanczos(products, theta, scale, rows) for theta, scale in points]
    return [_least(values, vectors, max(rows, free)) for values, vectors in spectra]


def _least(values: Vector, vectors: NDArray[np.float64], size: int) -> Blind | None:
    """Return the direction of the smallest singular value, unless the residuals see it."""
    if len(values) == 0 or values[0] == 0 or not np.all(np.isfinite(values)):
        return None
    share = float(values[-1] / values[0])
    if share >= math.sqrt(EPSILON):
        return None
    return Blind(share=share, direction=vectors[-1], exact=share <= size * EPSILON)


def _jacobian(residuals: Callable[[Any], Any], theta: Vector, rows: int) -> Callable[[Any], Any] | None:
    """Return the program of the Jacobian, for all points one; None where there is none.

    Forward mode where that takes fewer passes, unless only the other is to be had: a custom_vjp has no forward mode, and a
    while_loop no reverse mode.
    """
    flat = called(trace(lambda point: jnp.ravel(residuals(point)), theta))
    ways = [jax.jacfwd(flat), jax.jacrev(flat)]
    for way in ways if len(theta) <= rows else reversed(ways):
        program = traced(way, theta)
        if not isinstance(program, str):
            return Kernel(program).light  # for three calls
    return None


def _dense(jacobian: NDArray[np.float64]) -> tuple[Vector, NDArray[np.float64]]:
    """Return singular values and right vectors (in units of the sizes) of the Jacobian's columns that are not zero."""
    free = jacobian.shape[1]
    lengths = np.linalg.norm(jacobian, axis=0)
    used = np.flatnonzero(lengths > 0)
    if len(used) == 0 or not np.all(np.isfinite(jacobian)):
        return np.zeros(0), np.zeros((0, free))
    _, values, right = np.linalg.svd(jacobian[:, used] / lengths[used], full_matrices=True)
    values = np.concatenate([values, np.zeros(len(used) - len(values))])
    vectors = np.zeros((len(used), free))
    vectors[:, used] = right / lengths[used]
    return values, vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)


def _products(residuals: Callable[[Any], Any], theta: Vector) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the programs of J v and J'u, of the point and the vector."""
    closed = trace(lambda point: jnp.ravel(residuals(point)), theta)
    flat, heavy = called(closed), structure(closed).heavy
    push = Kernel(directional(flat)).for_work(3 * heavy // CHEAP)
    return push, Kernel(lambda point, image: jax.vjp(flat, point)[1](image)[0]).for_work(4 * heavy // CHEAP)


def _lanczos(
    products: tuple[Callable[..., Any], Callable[..., Any]], theta: Vector, scale: Vector, rows: int
) -> tuple[Vector, NDArray[np.float64]]:
    """Return the ends of the spectrum by Golub-Kahan bidiagonalisation with full reorthogonalisation.

    The smallest value is an upper bound: a direction that it shows to be blind is, others may be missed.
    """
    push, pull = products
    point, size = jnp.asarray(theta), jnp.asarray(scale)
    right = [np.random.default_rng(0).standard_normal(len(theta))]
    right[0] /= np.linalg.norm(right[0])
    images: list[Vector] = []
    for _ in range(min(LANCZOS_STEPS, len(theta), rows)):
        image = np.asarray(push(point, size * right[-1]), float)
        images.append(image)
        following = np.asarray(size * pull(point, image), float)
        for _again in range(2):
            following = following - np.asarray(right).T @ (np.asarray(right) @ following)
        length = float(np.linalg.norm(following))
        if length <= EPSILON * float(np.linalg.norm(image)):
            break
        right.append(following / length)
    basis = np.asarray(right[: len(images)])
    _, values, inner = np.linalg.svd(np.asarray(images).T, full_matrices=False)
    return values, inner @ basis


def in_names(subject: Subject, direction: Vector, most: int = 4) -> str:
    """Return a direction as a combination of parameters' names, the largest entries first."""
    order = np.argsort(-np.abs(direction))[:most]
    first = direction[order[0]] if len(order) else 1.0
    kept = [int(i) for i in order if abs(direction[i]) >= 0.01 * abs(first)]
    terms = " ".join(f"{direction[i] / first:+.3g} {subject.name(i)}" for i in kept)
    more = int(np.sum(np.abs(direction) >= 0.01 * abs(first))) - len(kept)
    return terms.removeprefix("+") + (f" and {more} more" if more > 0 else "")
