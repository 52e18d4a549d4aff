"""The walk of a first-order optimizer: passes over the data in compiled blocks, between which signals and the clock are heard.

A block is so many updates as take about `BLOCK_SECONDS`, which may be many passes or a part of one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fitkit.backend import array
from fitkit.evidence import optimality_at
from fitkit.minimize.passes import BLOCK_ROWS, Progressed, Structure, Training, advance, batches_of, begin
from fitkit.minimize.search import History, HistoryRow, Search, Watch, outside
from fitkit.optimizers.first_order import FirstOrder, Parts
from fitkit.optimizers.packed_rows import pack
from fitkit.optimizers.shuffle import draw_order
from fitkit.optimizers.stopping import Reason, Stopping, StopRule
from fitkit.problem import Problem, RowData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

BLOCK_SECONDS = 0.2
"""What a block is sized to take, so that Ctrl-C and the clock are heard."""
FASTER_BY = 8
"""How many times longer a block may be than the one before."""
CHECK_EVERY = 100
"""Passes between evaluations of the scale-free slope, where `gtol` counts."""
SMALLER = 10.0
MOST_SMALLER = 8
TRIED_SECONDS = 0.5
"""How long a smaller learning rate is tried before it is suggested."""


def walk_by_epochs(
    problem: Problem,
    optimizer: FirstOrder,
    rule: StopRule,
    stopping: Stopping,
    theta: Vector,
    seed: int,
    watch: Watch,
    validation: RowData | None = None,
) -> Search:
    """Return where the passes from theta, shape (free,), end; `validation` are rows that are only looked at."""
    import numpy as np

    walk = _Walk(problem, optimizer, rule, validation, seed)
    progress, history, reason = walk.begin(theta), History(), Reason.RUNNING
    checks = rule.gtol >= 0
    while True:
        fresh = _rows(progress)
        step = int(progress.step)
        reason = Reason(int(progress.code)) or outside(stopping, watch, step)
        if fresh and not reason and checks and step > 0 and step % CHECK_EVERY == 0:
            slope = optimality_at(problem, np.asarray(progress.theta, np.float64))
            fresh[-1] = fresh[-1]._replace(optimality=slope)
            reason = Reason.GRADIENT_SMALL if slope <= rule.gtol else Reason.RUNNING
        history.add(fresh)
        for row in fresh or walk.in_between(progress):
            watch.show(row)
        if reason:
            break
        progress = walk.advance(progress, CHECK_EVERY - step % CHECK_EVERY if checks else None)
    returns = rule.patience >= 0 and reason in {
        Reason.PATIENCE, Reason.EPOCHS_DONE, Reason.MAX_STEPS, Reason.TIME_LIMIT
    }  # fmt: skip
    if returns and int(progress.best_step) == 0 and int(progress.step) > 0:
        # Nothing was better than the start: to go back there would hide that the loss rose.
        returns = walk.losses(progress.theta)[0] <= history.rows()[0].loss
    found = progress.best_theta if returns else progress.theta
    loss, held_out = walk.losses(found)
    if walk.batches == 1 and not returns:  # an update from all rows knows the loss where it led, to the last digit
        loss = float(progress.value)
    rows = history.rows()
    if reason is not Reason.INTERRUPTED and int(progress.step) > 0 and not np.isfinite(loss):
        reason = Reason.NOT_FINITE
    search = Search(
        theta=np.asarray(found, np.float64),
        largest=np.asarray(progress.largest, np.float64),
        reason=reason,
        history=rows,
        final=HistoryRow(int(progress.best_step if returns else progress.step), loss, np.nan, np.nan, held_out),
        steps=int(progress.step),
        evaluations=1 + int(progress.step),
    )
    if int(progress.step) > 0 and (
        reason is Reason.NOT_FINITE or (reason is not Reason.INTERRUPTED and loss > rows[0].loss)
    ):
        return replace(search, smaller_rate=walk.smaller_rate(theta, rows[0].loss, watch))
    return search


class _Walk:
    """The compiled programs with what is constant on the way, and how fast they are."""

    def __init__(
        self, problem: Problem, optimizer: FirstOrder, rule: StopRule, validation: RowData | None, seed: int
    ) -> None:
        import numpy as np

        size, rows = optimizer.batch_size, problem.rows
        if rows is None or size is None or size >= len(rows):
            size = None
        bounded = bool(np.isfinite(np.asarray(problem.lower)).any() or np.isfinite(np.asarray(problem.upper)).any())
        self._structure = Structure(size, Parts(proximal=float(problem.regularization.l1) > 0, bounded=bounded))
        # How many epochs there are, and how many rows a batch has, is told apart: they are no part of the program's numbers.
        plain = replace(optimizer, epochs=None, batch_size=None)
        packed = order = None
        if rows is not None and size is not None:
            packed, order = pack(rows), draw_order(len(rows), seed)
        noisy = problem.model is not None and problem.model.noisy
        noise = np.uint32(np.random.default_rng([seed, 2]).integers(2**32)) if noisy else None
        self._training = Training(problem, plain, rule, validation, packed, order, noise)
        self.batches = batches_of(problem, size)
        self._work = max(1, problem.layout.size) * (1 if rows is None else len(rows))
        self._per_update = 0.0
        self._last = 0
        self._shown = time.perf_counter()

    def begin(self, theta: Any) -> Progressed:
        """Return the progress at the start, with the programs compiled."""
        progress = self._begun(theta)
        if int(progress.code):
            return progress
        filled = progress.filled
        progress = self._run(progress, 0)  # compiles
        self._shown = time.perf_counter()
        return progress._replace(filled=filled)

    def _begun(self, theta: Any) -> Progressed:
        compiled: Callable[..., Progressed] = begin.for_one_call(self._work)
        return compiled(self._training, array(theta, self._training.problem.lower.dtype), structure=self._structure)

    def advance(self, progress: Progressed, most_passes: int | None) -> Progressed:
        """Return the progress after a block of at most so many passes."""
        count = min(max(1, FASTER_BY * self._last), BLOCK_ROWS * self.batches)
        if self._per_update > 0:
            count = min(count, max(1, int(BLOCK_SECONDS / self._per_update)))
        if most_passes is not None:
            count = min(count, most_passes * self.batches - int(progress.batch))
        began, before = time.perf_counter(), self._updates(progress)
        progress = self._run(progress, count)
        self._last = max(1, self._updates(progress) - before)  # fewer than `count` where the rule said stop
        self._per_update = (time.perf_counter() - began) / self._last
        return progress

    def _updates(self, progress: Progressed) -> int:
        return int(progress.step) * self.batches + int(progress.batch)

    def in_between(self, progress: Progressed) -> list[HistoryRow]:
        """Return what can be shown in the middle of a long pass, about once a second: the mean loss of its batches."""
        import numpy as np

        if time.perf_counter() - self._shown < 1.0:
            return []
        self._shown = time.perf_counter()
        weighted, weight = np.asarray(progress.sums, np.float64).tolist()
        loss = weighted / weight if weight > 0 else float(progress.value)
        return [HistoryRow(int(progress.step), loss, np.nan, np.nan)]

    def losses(self, theta: Any) -> tuple[float, float]:
        """Return the exact objective at theta, and the loss of the rows held out."""
        import numpy as np

        loss, _, held_out = np.asarray(self._begun(theta).rows, np.float64)[0].tolist()
        return loss, held_out

    def smaller_rate(self, theta: Any, start: float, watch: Watch) -> float | None:
        """Return a learning rate, powers of ten below the one that diverged, with which the loss falls from its start."""
        training = self._training
        rate = training.optimizer.learning_rate
        rule = StopRule(gtol=-1.0, ftol=-1.0, xtol=-1.0, max_steps=20, epochs=training.rule.epochs, patience=-1)
        try:
            for _ in range(MOST_SMALLER):
                rate /= SMALLER
                self._training = training._replace(optimizer=replace(training.optimizer, learning_rate=rate), rule=rule)
                progress, began, highest = self.begin(theta), time.perf_counter(), start
                while not int(progress.code) and time.perf_counter() - began < TRIED_SECONDS:
                    progress = self.advance(progress, None)
                    highest = max([highest, *(row.loss for row in _rows(progress))])
                    if watch.interrupted():
                        return None
                if highest <= start and self.losses(progress.theta)[0] < start:  # it may fall by chance in between
                    return float(f"{rate:.3g}")
        finally:
            self._training = training
        return None

    def _run(self, progress: Progressed, updates: int) -> Progressed:
        compiled: Callable[..., Progressed] = advance.for_work(10 * self._work)
        progress = compiled(self._training, progress, updates, structure=self._structure)
        int(progress.step)  # waits until the block has run
        return progress


def _rows(progress: Progressed) -> list[HistoryRow]:
    """Return the rows that the last block has written."""
    import numpy as np

    filled = int(progress.filled)
    first = int(progress.step) - filled + 1
    written = np.asarray(progress.rows, np.float64)[:filled]
    return [
        HistoryRow(first + k, float(loss), np.nan, float(change), float(held_out))
        for k, (loss, change, held_out) in enumerate(written)
    ]
