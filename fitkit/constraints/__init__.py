"""Minima under constraints: the conditions of Karush, Kuhn and Tucker, and steps that meet them to rounding.

With c_i <= 0 for inequalities, c_i = 0 for equalities, and bounds among the inequalities, a minimum has multipliers with

    gradient + J'm = 0,    m_i >= 0 and m_i c_i = 0 for inequalities,

and the Hessian of objective + m'c has no negative curvature along directions that keep the active constraints.

Reference: J. Nocedal and S. J. Wright, Numerical Optimization, 2nd edition, Springer 2006, chapters 12, 17 and 18.
"""
