"""The consequences of errors for jobs."""

import pytest
import torch

from dti.errors import InvalidSettingError
from service.errors import DatabaseUnavailableError, LeaseLostError, SettingsError
from worker.errors import failure_of, outcome_of

CONSEQUENCES = [
    (LeaseLostError("job_1", 2), "drop", "drop"),
    (DatabaseUnavailableError("no answer"), "release", "release"),
    (InvalidSettingError("prompt", "it is empty."), "fail", "fail"),
    (SettingsError("DTI_SAFETY_CHECKER is none."), "fail", "fail"),
    (torch.OutOfMemoryError("CUDA out of memory"), "fail", "quarantine"),
    (MemoryError(), "fail", "quarantine"),
    (ValueError("broken"), "fail", "fail"),
]


@pytest.mark.parametrize(("error", "alone", "beside_others"), CONSEQUENCES)
def test_an_error_has_one_consequence_which_depends_on_other_jobs_only_for_memory(error, alone, beside_others):
    assert outcome_of(error, alone=True) == alone
    assert outcome_of(error, alone=False) == beside_others


def test_a_known_error_fails_a_job_with_its_own_code_and_message():
    error = InvalidSettingError("prompt", "it is empty.")
    assert failure_of(error) == (error.code, str(error))


def test_an_unexpected_error_is_named_and_its_text_stays_in_the_log():
    code, message = failure_of(ValueError("a secret"))
    assert code == "internal_error"
    assert "ValueError" in message
    assert "secret" not in message


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_a_lack_of_memory_has_its_own_code(error):
    assert failure_of(error)[0] == "out_of_memory"
