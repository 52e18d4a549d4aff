"""The Voigt profile, accurate to about 1e-13 relative, and differentiable to any order.

The real part of the Faddeeva function w(x + iy), y > 0, is the integral of y exp(-t²) / (pi ((x - t)² + y²)) over t.
The trapezoidal rule with step h converges exponentially, but for the pole at t = x + iy, the residue of which is added
where the pole is near (y < pi/h). Two grids are used, through 0 and between its points: each row takes the one whose
points are away from x, so that the sum and the residue never cancel. With twelve points, h = sqrt(pi/12), the relative
error is below 2e-15 in exact arithmetic.

Reference:
    M. Al Azah and S. N. Chandler-Wilde, Computation of the complex error function using modified trapezoidal rules,
    SIAM Journal on Numerical Analysis 59 (2021), arXiv:2010.05659: equations for the rules, and N = 11.

In real arithmetic, as here, the sum's terms are all positive: the profile far from the center keeps its digits, where
the real part of a complex sum would lose them to a much larger imaginary part.
"""

from __future__ import annotations

import math
from typing import Final

from fitkit.backend import jnp
from fitkit.types import Array

_POINTS: Final = 12
_STEP: Final = math.sqrt(math.pi / _POINTS)
_STRIP: Final = math.pi / _STEP
_FARTHEST: Final = 27.5  # exp(-x²) is 0 in doubles beyond


def faddeeva_real(x: Array, y: Array) -> Array:
    """Return the real part of w(x + iy) = exp(-z²) erfc(-iz), for y >= 0; x and y of any shapes that broadcast."""
    cell = jnp.abs(x) / _STEP
    between = (y >= jnp.abs(x)) | (jnp.abs(cell - jnp.floor(cell) - 0.5) > 0.25)
    number = x.dtype.type
    total = jnp.zeros((), x.dtype)
    for n in reversed(range(_POINTS)):
        on_grid, off_grid = n * _STEP, (n + 0.5) * _STEP
        t = jnp.where(between, number(off_grid), number(on_grid))
        halved = math.exp(-(on_grid**2)) / (2 if n == 0 else 1)  # the point 0 is its own mirror image
        weight = jnp.where(between, number(math.exp(-(off_grid**2))), number(halved))
        left, right = (x - t) ** 2 + y**2, (x + t) ** 2 + y**2
        total = total + weight * (1 / left + 1 / right)
    return y / _STRIP * total + _residue(x, y, between)


def _residue(x: Array, y: Array, between: Array) -> Array:
    """Return the real part of 2 exp(-z²) / (1 + s exp(-2 pi i z / h)), s = 1 between the grid points and -1 on them."""
    near = (y < _STRIP) & (jnp.abs(x) < _FARTHEST)
    number = x.dtype.type
    # Far away exp and cos would overflow.
    x, y = jnp.where(near, x, number(0.25 * _STEP)), jnp.where(near, y, number(0.0))
    sign = jnp.where(between, number(1.0), number(-1.0))
    angle, growth = 2 * _STRIP * x, jnp.exp(2 * _STRIP * y)
    real, imaginary = 1 + sign * growth * jnp.cos(angle), -sign * growth * jnp.sin(angle)
    turn = 2 * x * y
    numerator = real * jnp.cos(turn) - imaginary * jnp.sin(turn)
    value = 2 * jnp.exp((y - x) * (y + x)) * numerator / (real**2 + imaginary**2)
    return jnp.where(near, value, number(0.0))


def voigt(x: Array, center: Array, sigma: Array, gamma: Array) -> Array:
    """Return the Voigt profile of height 1.

    It is the convolution of a gaussian of standard deviation `sigma` with a lorentzian of half width at half maximum
    `gamma`, divided by its value at the center: Re w(z) / Re w(iy) with z = (x - center + i gamma) / (sigma sqrt(2)).
    The signs of `sigma` and `gamma` do not matter, as in the other shapes; `sigma` may not be 0.
    """
    width = jnp.abs(sigma) * math.sqrt(2)
    y = jnp.abs(gamma) / width
    return faddeeva_real((x - center) / width, y) / faddeeva_real(jnp.zeros_like(y), y)
