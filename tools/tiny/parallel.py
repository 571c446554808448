"""Runs the training on several processes of one machine, one thread each, that average their gradients.

Two processes of one thread suffer less on a busy machine than two threads of one process.
"""

import logging
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
import torch.distributed as dist

LOG_FORMAT = "%(asctime)s %(name)s %(message)s"


def _join(rank: int, processes: int, meeting: str, work: Callable[[], None]) -> None:
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=processes)
    try:
        work()
    finally:
        dist.destroy_process_group()


def run_together(work: Callable[[], None], processes: int) -> None:
    """Run a piece of work on so many processes that can talk through `torch.distributed`.

    Args:
        work: what each process does; it must be picklable.
        processes: how many; with one the work runs here and now.
    """
    if processes == 1:
        work()
        return
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        meeting = str(Path(folder) / "meeting")
        for outcome in [pool.submit(_join, rank, processes, meeting, work) for rank in range(processes)]:
            outcome.result()
