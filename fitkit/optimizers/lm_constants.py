"""The constants of Levenberg-Marquardt, for its steps on the host and those in the compiled search."""

FORGETTING = 0.8
"""The scale D follows falling column norms by this factor a step: never forgetting loses MGH10, forgetting at once BoxBOD."""
FIRST_DAMPING = 1e-3
"""The damping of a first step."""
STEEPER = 1e4
"""D that is so many times a column's length holds its parameter still, whatever the damping: the least, squared, is 1e-8."""
BEND_LIMIT = 0.75
"""A step whose acceleration is longer than this share of half its velocity leaves the region where the expansion holds."""
LEAST_DAMPING = 1e-16
"""Where a fit without any bend still crawls along a nearly flat valley, damping is all that holds it back: none is tried."""
MOST_POLISHING = 8
"""The most Newton steps after the tolerance is met; each doubles the digits until rounding ends it."""
POLISH_BELOW = 0.05
"""Relative offset below which a Newton step on the exact Hessian is tried."""
SHORT = 1e-4
"""Relative length of a step below which a Newton step is tried: residuals that vanish have no small offset."""
CRAWLING = 8
"""Steps in a row that each lower the objective by less than a hundredth, after which a Newton step is tried."""
MOST_PATIENCE = 64
"""The longest wait, in steps, after Newton steps that failed; it doubles with each."""
