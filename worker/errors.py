"""The consequence of an error for the job in which it occurred."""

from typing import Literal

import torch

from dti.errors import DTIError
from service.errors import LeaseLostError, ServiceError, UnavailableError

OUT_OF_MEMORY = (torch.OutOfMemoryError, MemoryError)

Outcome = Literal["drop", "release", "quarantine", "fail"]
"""Write nothing; return to the queue; retry alone from the newest checkpoint; end as failed."""


def outcome_of(error: Exception, *, alone: bool) -> Outcome:
    """The consequence for a job of an error in one of its own calls.

    Args:
        error: any error but `torch.AcceleratorError`, which ends the process: its device is lost.
        alone: whether no other job runs in the worker.
    """
    if isinstance(error, LeaseLostError):
        return "drop"  # The job belongs to another worker, or was deleted.
    if isinstance(error, UnavailableError):
        return "release"  # The job can be done as soon as the database or the store answers.
    if isinstance(error, OUT_OF_MEMORY) and not alone:
        return "quarantine"  # The memory is shared: alone the job may fit.
    return "fail"


def failure_of(error: Exception) -> tuple[str, str]:
    """The error code and message of a failed job."""
    if isinstance(error, DTIError | ServiceError):
        return error.code, str(error)
    if isinstance(error, OUT_OF_MEMORY):
        return "out_of_memory", (
            "The device has too little memory for this job, even alone. "
            "Ask for smaller or fewer pictures, or a smaller batch_size or resolution."
        )
    return "internal_error", (
        f"The worker met an unexpected error ({type(error).__name__}), which is in its log. "
        "Trying again may help; if it does not, please report it."
    )
