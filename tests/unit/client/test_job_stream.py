"""The event stream of a job, line by line: parsed, resumed, given up."""

import pytest
from dti_client.errors import WaitTimeoutError
from dti_client.job_stream import JobStream

LINES = [": keepalive", "", "id: 3", "event: progress", 'data: {"step": 1}', "", "id: 4", "event: done"]


def events(stream, lines):
    return [event for line in lines for event in stream.feed(line)]


def test_complete_events_are_parsed_and_a_broken_stream_resumes_after_the_last_one():
    stream = JobStream("job_1")
    stream.opened()
    (event,) = events(stream, LINES)
    assert (event.id, event.event, event.data) == ("3", "progress", '{"step": 1}')
    assert stream.request()["headers"]["Last-Event-ID"] == "3"
    stream.opened()
    assert events(stream, [*LINES[-2:], "data: {}", ""])[0].id == "4"


def test_streams_without_events_are_given_up():
    stream = JobStream("job_1")
    assert "Last-Event-ID" not in stream.request()["headers"]
    for _ in range(2):
        assert stream.usable
        stream.opened()
        events(stream, LINES[:2])
    assert not stream.usable


def test_a_stream_with_events_is_not_given_up_however_often_it_breaks():
    stream = JobStream("job_1")
    for _ in range(10):
        stream.opened()
        events(stream, LINES)
    assert stream.usable


def test_the_timeout_ends_a_stream():
    stream = JobStream("job_1", timeout_s=0)
    with pytest.raises(WaitTimeoutError):
        events(stream, LINES)
