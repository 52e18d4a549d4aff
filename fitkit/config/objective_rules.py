"""Rules that span `data`, `model`, `loss`, `minimize` and `optimizer`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from fitkit.config.scalars import described
from fitkit.config.sections import Sections
from fitkit.config.tree import Path
from fitkit.errors import Diagnostic, did_you_mean
from fitkit.losses import KinkedLoss, Loss, ResidualLoss
from fitkit.losses.expression import FormulaCost
from fitkit.models import LinearModel, Model
from fitkit.models.linear import INTERCEPT
from fitkit.optimizers.first_order import FirstOrder
from fitkit.optimizers.lm import LevenbergMarquardt
from fitkit.optimizers.newton import Newton
from fitkit.optimizers.schedules import CosineSchedule
from fitkit.optimizers.sgd import StochasticGradientDescent
from fitkit.readers.data import Data


def objective_rules(sections: Sections) -> Iterator[Diagnostic]:
    """Yield what is wrong between the sections that make the objective, and between it and the optimizer."""
    yield from _what_is_fitted(sections)
    yield from _data(sections)
    yield from _model(sections)
    yield from _sigma(sections)
    yield from _optimizer(sections)


def _what_is_fitted(sections: Sections) -> Iterator[Diagnostic]:
    tree = sections.tree
    if tree.given("minimize"):
        for key in ("data", "model", "loss"):
            if tree.given(key):
                message = f"`{key}` and `minimize` exclude each other"
                way_out = "`minimize` is an objective of the parameters alone, instead of data, model and loss"
                yield tree.diagnostic((key,), "E111", message, way_out)
        return
    missing = [key for key in ("data", "model") if not tree.given(key)]
    if not missing or "minimize" in tree.root.entries:
        return
    message = f"the config has no {' and no '.join(f'`{key}`' for key in missing)}"
    way_out = "a fit needs `data` and `model`" + (
        "; a pure objective stands in `minimize`" if len(missing) == 2 else ""
    )
    there = next((key for key in ("data", "model") if tree.given(key)), next(iter(tree.root.entries), ""))
    yield tree.diagnostic((there,), "E105", message, way_out)


def _data(sections: Sections) -> Iterator[Diagnostic]:
    tree = sections.tree
    data = sections.get("data")
    if data is None:
        return
    if data.path is None and data.values is None:
        message = "`data` has neither `path` nor `values`"
        yield tree.diagnostic(("data",), "E105", message, "name a file, `path: points.csv`, or write the table itself")
    if data.path is not None and data.values is not None:
        yield _excluded(sections, "values", "path")
    if data.sigma is not None and data.weights is not None:
        yield _excluded(sections, "weights", "sigma")
    if isinstance(data.sigma, float) and data.sigma <= 0:
        message = f"`sigma` must be above 0, not {data.sigma:g}"
        yield tree.diagnostic(("data", "sigma"), "E109", message, value=True)
    share = data.validation
    if isinstance(share, float) and not 0 < share < 1:
        message = f"`validation` must be a share between 0 and 1, not {share:g}"
        yield tree.diagnostic(("data", "validation"), "E109", message, "0.2 holds out a fifth of the rows", value=True)
    if data.values is not None:
        own = [f for f in fields(Data) if f.name in {"delimiter", "decimal", "comment", "skip"}]
        for f in own:
            if getattr(data, f.name) != f.default:
                message = f"`{f.name}` says how a file is read, and `values` is none"
                yield tree.diagnostic(("data", f.name), "E111", message, f"remove `{f.name}`")


def _excluded(sections: Sections, key: str, other: str) -> Diagnostic:
    message = f"`{key}` and `{other}` exclude each other"
    return sections.tree.diagnostic(("data", key), "E111", message, "keep one of them")


def _model(sections: Sections) -> Iterator[Diagnostic]:
    """Refuse inputs that are none, doubled, the target itself, or called like the intercept."""
    model, tree = sections.get("model"), sections.tree
    if not isinstance(model, Model) or model.inputs_used is None:
        return
    if model.all_inputs:
        if getattr(model, "inputs", "*") != "*":
            message = f"`inputs` must be a list, or `*` for all columns, not {described(getattr(model, 'inputs', ''))}"
            yield tree.diagnostic(("model", "inputs"), "E108", message, "write `inputs: [x, z]`", value=True)
        return
    yield from _categorical(model, sections)
    if not model.inputs_used:
        message = "`inputs` is empty"
        yield tree.diagnostic(("model", "inputs"), "E105", message, "name the input columns: `inputs: [x]`")
    for index, (name, key) in enumerate(zip(model.inputs_used, model.input_keys, strict=True)):
        path: Path = ("model", *key)
        if name in model.inputs_used[:index]:
            first = model.input_keys[model.inputs_used.index(name)][0]
            message = (
                f"`{name}` stands in `inputs` twice" if key[0] == first else f"`{name}` is both {first} and {key[0]}"
            )
            yield tree.diagnostic(path, "E106", message, "keep one of them", value=True)
        elif name == model.target_used:
            message = f"`{name}` is both the target and an input"
            yield tree.diagnostic(path, "E111", message, "remove it from the inputs", value=True)
        elif isinstance(model, LinearModel) and model.intercept and name == INTERCEPT:
            message = f"`{name}` is the name of the constant term"
            way_out = "rename the column by `data.columns`, or write `intercept: false`"
            yield tree.diagnostic(path, "E113", message, way_out, value=True)


def _categorical(model: Model, sections: Sections) -> Iterator[Diagnostic]:
    """Refuse to code what is no input."""
    for index, name in enumerate(getattr(model, "categorical", ())):
        if name not in (model.inputs_used or ()):
            message = f"`{name}` is categorical, and none of the inputs"
            way_out = did_you_mean(name, model.inputs_used or ()) or "add it to `inputs`"
            yield sections.tree.diagnostic(("model", "categorical", index), "E111", message, way_out, value=True)


def _sigma(sections: Sections) -> Iterator[Diagnostic]:
    data, loss = sections.get("data"), sections.get("loss")
    if data is None or data.sigma is None or not isinstance(loss, Loss):
        return
    path = ("data", "sigma")
    if loss.likelihood:
        message = (
            f"`sigma` means nothing under the likelihood loss `{loss.kind}`, which knows the spread of its targets"
        )
        yield sections.tree.diagnostic(path, "E111", message, "remove `sigma`; `weights` count rows")
    elif isinstance(loss, FormulaCost):
        message = "`sigma` means nothing under the loss `expression`, which says the whole cost of a row"
        yield sections.tree.diagnostic(path, "E111", message, "remove `sigma`, and use the column in the expression")


def _optimizer(sections: Sections) -> Iterator[Diagnostic]:
    tree = sections.tree
    optimizer, loss = sections.get("optimizer"), sections.get("loss")
    if isinstance(optimizer, StochasticGradientDescent) and optimizer.nesterov and optimizer.momentum == 0:
        message = "`nesterov` needs `momentum` above 0"
        yield tree.diagnostic(("optimizer", "nesterov"), "E111", message, "write `momentum: 0.9`, or remove `nesterov`")
    if isinstance(optimizer, FirstOrder) and optimizer.batch_size is not None and tree.given("minimize"):
        message = "`batch_size` needs rows of data, and `minimize` has none"
        yield tree.diagnostic(("optimizer", "batch_size"), "E111", message, "remove `batch_size`")
    yield from _schedule(sections)
    unfinished = list(_not_smooth(sections))
    yield from unfinished
    if isinstance(optimizer, LevenbergMarquardt) and not unfinished:
        path = ("optimizer", "kind")
        if tree.given("minimize"):
            message = "`lm` minimises sums of squared residuals, and `minimize` is any objective"
            yield tree.diagnostic(path, "E111", message, "use `newton` or `lbfgs`", value=True)
        elif loss is not None and not isinstance(loss, ResidualLoss | KinkedLoss):
            message = f"`lm` minimises sums of squared residuals, and the loss `{loss.kind}` is none"
            yield tree.diagnostic(path, "E111", message, "use `newton` or `lbfgs`", value=True)


def _schedule(sections: Sections) -> Iterator[Diagnostic]:
    """Refuse schedules that need to know the end where there is none, and warm-ups without one."""
    optimizer, path = sections.get("optimizer"), ("optimizer", "schedule")
    if not isinstance(optimizer, FirstOrder):
        return
    epochs, warmup = optimizer.epochs, optimizer.schedule.warmup
    if isinstance(optimizer.schedule, CosineSchedule) and epochs is None:
        message = "the schedule `cosine` needs `epochs`: it falls from the first to the last"
        yield sections.tree.diagnostic(path, "E111", message, "write `epochs: 50` beside it")
    elif epochs is not None and warmup >= epochs:
        message = f"a `warmup` of {warmup} epochs leaves none of {epochs} for the learning rate itself"
        yield sections.tree.diagnostic(
            (*path, "warmup"), "E111", message, "shorten it, or give more `epochs`", value=True
        )


def _not_smooth(sections: Sections) -> Iterator[Diagnostic]:
    """Refuse what has kinks under `newton`, which needs second derivatives everywhere."""
    optimizer, loss, penalty = sections.get("optimizer"), sections.get("loss"), sections.get("regularization")
    if not isinstance(optimizer, Newton):
        return
    way_out = "use `lbfgs` or `lm`, which round kinks less and less, or `auto`"
    kinked = [f"the loss `{loss.kind}`"] if isinstance(loss, Loss) and not loss.smooth else []
    kinked += ["the penalty `l1`"] if penalty is not None and penalty.l1 > 0 else []
    for what in kinked:
        message = f"`newton` needs a smooth objective, and {what} has kinks"
        yield sections.tree.diagnostic(("optimizer", "kind"), "E111", message, way_out, value=True)
