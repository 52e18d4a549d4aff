"""A batch on a Dask cluster: the same outcomes as in one process, whatever becomes of a worker."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from batches import LINE, NO_DATA, batch, python_model
from command import environment, here, written

STARTS = [0, 0.5, 1, 1.5, 2, 2.5]
HELD = LINE.replace("offset: 0", "offset: {start: 0, fixed: true}")
SLOW = f"{HELD}optimizer: {{kind: adam, learning_rate: 1e-2, epochs: 30000}}\n"


def slopes(documents: list[dict[str, Any]]) -> dict[str, float]:
    return {one["name"]: one["parameters"]["slope"]["value"] for one in documents if one["exit_code"] == 0}


def by_hand(name: str) -> dict[str, float]:
    """With the offset held, least squares give slope = sum x (y - offset) / sum x² = (38 - 10 offset) / 30."""
    return {f"{name}[start={offset}]": (38 - 10 * offset) / 30 for offset in STARTS}


def test_a_local_cluster_makes_what_one_process_makes(tmp_path: Path) -> None:
    """Dask blames every fit that a killed worker had; only the one that kills it when alone has failed."""
    import dask
    from distributed import LocalCluster

    written(tmp_path, "line.yaml", f"{HELD}matrix: {{parameters.offset.start: {STARTS}}}\n")
    written(tmp_path, "no_data.yaml", NO_DATA)
    python_model(tmp_path, "killed")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0") as cluster,  # type: ignore[no-untyped-call]
    ):
        options = ("--executor", "dask", "--scheduler", cluster.scheduler_address, "--allow-python")
        done, documents = batch(tmp_path, *options, "--out", tmp_path / "out")
    failed = {one["name"]: (one["exit_code"], one["message"]) for one in documents if one["exit_code"]}
    assert {name: code for name, (code, _) in failed.items()} == {"killed": 7, "no_data": 3}, failed
    assert len(documents) == 2 + len(STARTS), done.err
    assert slopes(documents) == pytest.approx(by_hand("line"), rel=1e-12)
    assert done.code == 10
    assert (tmp_path / "out/line-start=0.5/result.json").exists()


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a Python module until the block ends."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_worker_killed_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    """A scheduler and two workers, each a process of its own; the first worker is killed when the first fit has ended."""
    written(tmp_path, "slow.yaml", f"{SLOW}matrix: {{parameters.offset.start: {STARTS}}}\n")
    with started("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard") as scheduler:
        assert scheduler.stderr is not None
        address = next(found[0] for line in scheduler.stderr if (found := re.search(r"tcp://127\.0\.0\.1:\d+", line)))
        worker = ("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
        with started(*worker) as first, started(*worker):
            command = [sys.executable, "-m", "fitkit", "batch", "slow.yaml", "--json", "--no-save"]
            command += ["--executor", "dask", "--scheduler", address]
            with subprocess.Popen(
                command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as process:
                assert process.stdout is not None
                lines = [process.stdout.readline()]
                os.kill(first.pid, signal.SIGKILL)
                rest, err = process.communicate(timeout=100)
    documents = [json.loads(line) for line in (*lines, *rest.splitlines())]
    assert process.returncode == 0, err
    assert len(documents) == len(STARTS)
    assert slopes(documents) == pytest.approx(by_hand("slow"), rel=1e-3)  # adam circles its minimum


def test_without_a_cluster_there_is_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = written(tmp_path, "line.yaml", LINE)
    assert here("batch", config, "--no-save", "--executor", "dask").code == 2
    assert here("batch", config, "--no-save", "--scheduler", "tcp://127.0.0.1:1").code == 2
    monkeypatch.setattr("fitkit.batch.dask_cluster.CONNECT", 0.2)
    absent = here("batch", config, "--no-save", "--executor", "dask", "--scheduler", "tcp://127.0.0.1:1")
    assert absent.code == 7
    assert "--scheduler tcp://127.0.0.1:8786" in absent.err
    monkeypatch.setattr("fitkit.batch.dask_cluster.find_spec", lambda _: None)
    missing = here("batch", config, "--no-save", "--executor", "dask", "--scheduler", "tcp://127.0.0.1:1")
    assert missing.code == 7
    assert 'pip install "fitkit[dask]"' in missing.err
