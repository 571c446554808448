"""Log lines: JSON off a terminal, fields by list, ids of requests and jobs."""

import io
import json
import logging

import pytest

from service import correlation, jobs, logs
from tests.support.queue_driver import job_input


@pytest.fixture
def lines():
    """The lines of a process whose logs are configured, parsed."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_is_one_json_object_with_time_level_logger_and_message(lines):
    logging.getLogger("service.anything").warning("The broker is %s.", "down")
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "The broker is down.", "level": "warning", "logger": "service.anything"}


def test_an_error_has_its_traceback_in_the_same_line(lines):
    try:
        int("wrong")
    except ValueError:
        logging.getLogger("x").exception("It failed.")
    (line,) = lines()
    assert "ValueError: invalid literal" in line["exception"]


def test_only_listed_fields_are_rendered(lines):
    logging.getLogger("x").info("job", extra={"job": "job_1", "secret": "hush"})
    assert "hush" not in json.dumps(lines())
    assert lines()[0]["job"] == "job_1"


def test_a_terminal_gets_readable_lines_instead_of_json():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(terminal)
    logging.getLogger("x").info("job", extra={"job": "job_1"})
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    assert "job_1" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")


def test_lines_inside_a_block_carry_the_ids_bound_there(lines):
    with correlation.bound(request="req_1", job="job_1"):
        logging.getLogger("x").info("inside")
    logging.getLogger("x").info("outside")
    inside, outside = lines()
    assert (inside["request"], inside["job"]) == ("req_1", "job_1")
    assert "request" not in outside


def test_every_move_of_a_job_is_one_line_with_its_ids_written_after_the_commit(driver, lines):
    with correlation.bound(request="req_1"):
        job_id = driver.submit()
    (claim,) = driver.claim("ada", after_s=2)
    driver.write(jobs.succeed, claim)
    with pytest.raises(RuntimeError), driver.database.writing() as session:
        driver_rollback(session, driver)
    moves = [line for line in lines() if line["event"] == "job"]
    assert [(line["status"], line["worker"], line["attempt"]) for line in moves] == [
        ("queued", None, 0),
        ("running", "ada", 1),
        ("succeeded", "ada", 1),
    ]
    assert moves[1]["ms"] == 2000
    for line in moves:
        assert (line["job"], line["request"], line["owner"], line["model"], line["kind"]) == (
            job_id,
            "req_1",
            "own_local",
            "tiny",
            "generate",
        )


def driver_rollback(session, driver):
    """Submit a job in a transaction that is rolled back."""
    new = jobs.NewJob(owner_id="own_local", model="tiny", input=job_input("generate"))
    jobs.submit(driver._within(10), session, new)
    raise RuntimeError


@pytest.mark.parametrize("header", [None, "", "two words", "a" * 129, "new\nline", "é"])
def test_a_request_id_that_is_missing_or_unfit_for_a_log_is_replaced(header):
    made = correlation.request_id_from(header)
    assert made.startswith("req_")
    assert made != correlation.request_id_from(header)


@pytest.mark.parametrize("header", ["a", "8f7c-22", "Root=1-67891233-abcdef", "a" * 128])
def test_a_request_id_of_the_caller_is_kept(header):
    assert correlation.request_id_from(header) == header
