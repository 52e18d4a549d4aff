"""`fitkit check-grad`: from a config to what its gradient is worth."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, Literal, final

from fitkit.backend import jax, select_device
from fitkit.config import Config, ConfigSource
from fitkit.errors import ConfigError
from fitkit.gradient_check import Block, Finding, GradientReport, PointKind, Settings, Subject, Verdict, check_function
from fitkit.gradient_policy import CheckGrad
from fitkit.minimize import Watch, minimize
from fitkit.models import PythonModel
from fitkit.models.python_file import describe, place_of
from fitkit.reports.gradient_outcome import GradientOutcome
from fitkit.reports.gradient_sentence import sentence
from fitkit.run.assemble import Assembled, assemble, dtype_of
from fitkit.run.check_names import known_parameters
from fitkit.run.choose import choose
from fitkit.run.claims import checked_claims
from fitkit.run.memory import out_of_memory
from fitkit.run.oracles import compared, frameworks
from fitkit.run.printing import prints_aside
from fitkit.run.python_trial import try_python
from fitkit.run.shown_paths import with_shown_paths
from fitkit.run.train import name_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

POINTS: tuple[PointKind, ...] = ("start", "jitter", "jitter", "wide")


@final
@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """What the command line says beside the config."""

    allow_python: bool = False
    points: tuple[PointKind, ...] = POINTS
    against: tuple[str, ...] = ()
    """The independent oracles: torch, tensorflow, complex-step, mpmath."""
    order: Literal[1, 2] = 1
    budget: float | None = None
    """Seconds."""
    warn: bool = False
    inconclusive_fails: bool = False
    measure: bool = False
    """Also time the value and the gradient."""
    stdin: BinaryIO | None = None


def check_gradient(source: ConfigSource, options: CheckOptions) -> GradientOutcome:
    """Return what was found of the gradient that `train` would use for a config.

    Raises:
        FitkitError: the config, the data or the machine make a check impossible.
    """
    began = time.perf_counter()
    select_device(source.config.device)
    with prints_aside(source):
        try:
            report = with_shown_paths(_report(source, options), source.base)
        except jax.errors.JaxRuntimeError as error:
            raise (_failed_model(source, error) or out_of_memory(error)) from None
        except Exception as error:
            told = _failed_model(source, error)
            if told is None:
                raise
            raise told from None
    return GradientOutcome(
        path=source.shown,
        name=name_of(source),
        report=report,
        message=sentence(report),
        seed=source.config.seed,
        inconclusive_fails=options.inconclusive_fails,
        seconds=time.perf_counter() - began,
    )


def _report(source: ConfigSource, options: CheckOptions) -> GradientReport:
    config, section = source.config, source.config.check_grad
    double = replace(source, config=replace(config, precision="float64"))
    assembled = assemble(double, allow_python=options.allow_python, stdin=options.stdin, for_check=True)
    known_parameters(double, assembled)
    single = None
    if dtype_of(config) == "float32":
        single = assemble(source, allow_python=options.allow_python, stdin=options.stdin, for_check=True)
    report = check_function(_subject(double, assembled, single, options), _settings(config, options))
    unused = [
        Finding(verdict=Verdict.UNUSED, parameter=name, message=f"nothing uses `{name}`")
        for name in assembled.parameters
        if name in assembled.unused
    ]
    notes = [*_policies(section), *_of_one_group(assembled), *_refused_by_train(double, assembled)]
    report = report.joined(findings=unused, claims=checked_claims(double, assembled), notes=notes)
    if not options.against:
        return report
    said = compared(frameworks(options.against), assembled, config.seed)
    return report.joined(checks=said.checks, findings=said.findings, notes=said.notes)


def _of_one_group(assembled: Assembled) -> list[str]:
    """Return which group the check was of, where there are many."""
    return [] if assembled.group is None else [f"of many groups, the check is of `{assembled.group}`"]


def _refused_by_train(source: ConfigSource, assembled: Assembled) -> list[str]:
    """Return why `train` would not take a model whose gradient can be checked: it asks more of its derivatives."""
    try:
        try_python(source, assembled.problem, assembled.start)
    except ConfigError as error:
        return [f"`train` would refuse this model: {told.message}; {told.help}" for told in error.diagnostics]
    return []


def _settings(config: Config, options: CheckOptions) -> Settings:
    section = config.check_grad
    return Settings(
        seed=config.seed,
        points=options.points,
        order=options.order,
        budget=options.budget,
        warn=options.warn,
        measure=options.measure,
        allow_kinks=section.allow_kinks,
        allow_stop_gradient=section.allow_stop_gradient,
        surrogate=section.surrogate,
    )


def _policies(section: CheckGrad) -> list[str]:
    """Return a sentence for each policy about points and steps; of the others the check itself tells."""
    told = []
    if section.scale is not None:
        scales = section.scale if isinstance(section.scale, dict) else {"every parameter": section.scale}
        told.append("policy scale: " + ", ".join(f"{name} by {scale:g}" for name, scale in scales.items()))
    if section.domain:
        told.append("policy domain: " + ", ".join(_interval(n, d.min, d.max) for n, d in section.domain.items()))
    return told


def _interval(name: str, low: float | None, high: float | None) -> str:
    return f"{name} from {'-inf' if low is None else f'{low:g}'} to {'inf' if high is None else f'{high:g}'}"


# -- what is checked --------------------------------------------------------------------------------------------------------


def _subject(source: ConfigSource, assembled: Assembled, single: Assembled | None, options: CheckOptions) -> Subject:
    """Return the objective of theta, as `train` has it, with what is known of its parameters."""
    problem = assembled.problem
    lower, upper = _domain(source.config.check_grad, assembled)
    rows = problem.rows
    residuals = None
    if problem.least_squares and rows is not None:
        residuals = lambda theta: problem.row_residuals(theta, rows)  # noqa: E731 - one of two
    return Subject(
        function=problem.objective,
        theta=assembled.start,
        blocks=tuple(Block(name=name, shape=problem.layout.shape(name)) for name in problem.layout.free),
        scale=_scale(source.config.check_grad, assembled),
        lower=lower,
        upper=upper,
        solution=_solution(source, assembled, options) if "solution" in options.points else None,
        residuals=residuals,
        single=None if single is None else single.problem.objective,
    )


def _scale(section: CheckGrad, assembled: Assembled) -> Vector | None:
    """Return the sizes of changes in theta, shape (free,), NaN where the config says nothing."""
    import numpy as np

    if section.scale is None:
        return None
    layout = assembled.problem.layout
    found = np.full(layout.size, np.nan)
    for name, place in layout.places.items():
        given = section.scale.get(name) if isinstance(section.scale, dict) else section.scale
        if given is not None:
            value = np.exp(assembled.start[place]) if name in layout.logarithmic else 1.0
            found[place] = given / value  # of the logarithm: d log v = dv / v
    return found


def _domain(section: CheckGrad, assembled: Assembled) -> tuple[Vector, Vector]:
    """Return from where to where points are drawn, in theta, shape (free,) each: the bounds, and the config's domain."""
    import numpy as np

    problem = assembled.problem
    lower, upper = np.array(problem.lower, np.float64), np.array(problem.upper, np.float64)
    for name, place in problem.layout.places.items():
        domain = section.domain.get(name)
        if domain is None:
            continue
        for limits, value, tighter in ((lower, domain.min, np.maximum), (upper, domain.max, np.minimum)):
            if value is not None:
                log = name in problem.layout.logarithmic
                end = value if not log else float(np.log(value)) if value > 0 else -np.inf
                limits[place] = tighter(limits[place], end)
    return lower, upper


def _solution(source: ConfigSource, assembled: Assembled, options: CheckOptions) -> Vector:
    """Return where `train` would end, shape (free,)."""
    del options
    config, problem = source.config, assembled.problem
    try_python(source, problem, assembled.start)  # its optimizer asks more of a model than a check does
    optimizer, _ = choose(config.optimizer, problem)
    theta: Vector = minimize(
        problem, optimizer, config.stopping, assembled.start, seed=config.seed, watch=Watch()
    ).theta
    return theta


def _failed_model(source: ConfigSource, error: Exception) -> ConfigError | None:
    """Return what to say of an error that comes from a python model's own code; None for any other."""
    model = source.config.model
    if not isinstance(model, PythonModel) or isinstance(error, ConfigError):
        return None
    file = source.base / model.function.partition(":")[0]
    place = place_of(error, file)
    callback = "callback" in str(error).lower()
    if not place and not callback:
        return None
    message = f"`{model.function}` failed{place} while its gradient was checked: {describe(error)}"
    way_out = "the check evaluates it at other values than the start too; `check_grad.domain` says which are allowed"
    return ConfigError(source.diagnostic(("model", "function"), "E162", message, way_out, value=True))
