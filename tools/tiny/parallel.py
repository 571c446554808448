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
    """Run a function on several processes that communicate through `torch.distributed`.

    Args:
        work: the function of each process; it must be picklable.
        processes: their number; with one the function runs in this process.
    """
    if processes == 1:
        work()
        return
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        meeting = str(Path(folder) / "meeting")
        for outcome in [pool.submit(_join, rank, processes, meeting, work) for rank in range(processes)]:
            outcome.result()
