"""`fitkit certify`: NIST's Statistical Reference Datasets, fitted on the user's own machine and compared digit by digit."""

from __future__ import annotations

from fitkit.certification.certify import Bounds, CertifiedRun, certify, planned
from fitkit.certification.reference import ReferenceProblem, reference_problems

__all__ = ["Bounds", "CertifiedRun", "ReferenceProblem", "certify", "planned", "reference_problems"]
