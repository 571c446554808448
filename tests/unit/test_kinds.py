"""Laws over KINDS and TASKS: a kind or a task that is listed is complete from the route to the worker."""

import inspect
import json
import typing
from dataclasses import fields, replace
from pkgutil import resolve_name

import dti_client
import pytest
from dti_client import calls
from hypothesis import given, settings
from hypothesis import strategies as st

from api.schemas import responses
from dti.spec.registry import METHODS
from service.kinds.jobs import (
    KINDS,
    LISTED,
    PRIORITY_CLASSES,
    GenerateInput,
    InterpolateInput,
    TrainInput,
    kind_of,
    read_input,
)
from service.kinds.rpc import TASKS, RpcInput, task_of
from service.kinds.versioned import Input, Versioned
from tests.support import stored_jobs
from tools import api_docs
from worker.handlers import Handler, handler_class
from worker.handlers.rpc import RpcCall, function_of

OPERATIONS = [kind.operation for kind in KINDS.values() if kind.listed] + [task.operation for task in TASKS.values()]
INPUTS = {
    **{name: kind.input for name, kind in KINDS.items() if kind.input is not RpcInput},
    **{name: task.input for name, task in TASKS.items()},
}
RESULTS = {
    **{name: kind.result for name, kind in KINDS.items() if kind.result},
    **{name: task.result for name, task in TASKS.items()},
}
EVERYTHING = {
    **{f"{name}-input": kind for name, kind in INPUTS.items()},
    **{f"{name}-result": kind for name, kind in RESULTS.items()},
}

# Values of JSON within the bounds of columns.
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(int, st.integers(0, 5000))


@pytest.fixture(scope="module")
def document():
    return api_docs.document()


def objects_of(kind):
    """Values of a dataclass, whose every field is given."""
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{field.name: st.from_type(hints[field.name]) for field in fields(kind)}).flatmap(agreeing)


def agreeing(value):
    """The same value with fields that belong together in agreement."""
    if isinstance(value, TrainInput):
        return st.sampled_from(list(METHODS)).flatmap(
            lambda method: objects_of(METHODS[method].settings).map(
                lambda training: replace(value, method=method, training=training)
            )
        )
    if isinstance(value, InterpolateInput):
        return st.just(replace(value, rendering=replace(value.rendering, num_images=1)))
    return st.just(value)


@pytest.mark.parametrize("kind", EVERYTHING.values(), ids=EVERYTHING)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_it_comes_back_from_json_as_it_was(kind, data):
    value = data.draw(objects_of(kind))
    stored = json.loads(json.dumps(value.to_json()))
    assert stored["version"] == kind.VERSION
    assert kind.from_json(stored) == value
    if isinstance(value, Input):
        assert read_input(kind_of(value), stored) == value
        assert value.total >= 0
        assert value.slots >= 0


@pytest.mark.parametrize("kind", EVERYTHING.values(), ids=EVERYTHING)
def test_another_version_or_shape_is_refused_by_a_value_error(kind):
    for stored in (
        {"version": kind.VERSION + 1},
        {"version": kind.VERSION - 2},
        {"version": kind.VERSION, "surprise": 1},
    ):
        with pytest.raises(ValueError, match=r"version|task"):
            kind.from_json(stored)


@pytest.mark.parametrize("name", EVERYTHING)
def test_the_version_before_is_read(name):
    kind = EVERYTHING[name]
    samples = {"input": stored_jobs.INPUTS, "result": stored_jobs.RESULTS}[name.rpartition("-")[2]]
    stored = samples.get(name.rpartition("-")[0])
    if stored is None:
        assert kind.VERSION == 1, "a kind with a version before needs a sample of it"
        return
    assert stored.get("version", 0) == kind.VERSION - 1
    value = kind.from_json(stored)
    assert kind.from_json(value.to_json()) == value
    assert type(value) is kind


def test_listed_kinds_show_the_names_of_the_version_before():
    for name in LISTED:
        if stored := stored_jobs.INPUTS.get(name):
            shown = KINDS[name].input.from_json(stored).to_json()
            assert set(stored) <= {"version", *shown}
            assert shown == {**shown, **stored, "version": KINDS[name].input.VERSION}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_has_a_handler_of_its_input(name):
    handler = handler_class(name)
    assert issubclass(handler, Handler)
    assert not inspect.isabstract(handler)
    assert typing.get_args(handler.__orig_bases__[0]) == (KINDS[name].input,)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_has_a_priority_class_and_a_name_that_fits_its_column(name):
    assert KINDS[name].priority_class in PRIORITY_CLASSES
    assert len(name) <= 16
    assert issubclass(KINDS[name].input, Input)


def test_priority_classes_are_in_the_order_of_their_numbers_and_every_one_has_a_capacity():
    numbers = [priority_class.number for priority_class in PRIORITY_CLASSES.values()]
    assert numbers == sorted(set(numbers))
    for priority_class in PRIORITY_CLASSES.values():
        assert (priority_class.engine is None) == (priority_class.at_once > 0)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_listed_kind_and_every_task_has_a_route_and_a_client_call(document, operation):
    operations = {found["operationId"] for path in document["paths"].values() for found in path.values()}
    assert operation in operations
    assert inspect.isfunction(getattr(calls, operation))
    for client in (dti_client.Client, dti_client.AsyncClient):
        assert callable(getattr(client, operation))


def test_the_document_and_the_responses_know_the_listed_kinds(document):
    schema = document["components"]["schemas"]["Job"]["properties"]["kind"]
    assert tuple(schema["enum"]) == LISTED == typing.get_args(responses.ListedKind)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_function_that_takes_its_input(name):
    hints = typing.get_type_hints(function_of(name))
    assert hints["call"] == RpcCall[TASKS[name].input]
    assert issubclass(TASKS[name].input, RpcInput)
    assert issubclass(TASKS[name].result, Versioned)


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_an_rpc_is_read_by_its_task(data):
    name = data.draw(st.sampled_from(list(TASKS)))
    value = data.draw(objects_of(TASKS[name].input))
    assert (task_of(value), kind_of(value)) == (name, "rpc")
    assert RpcInput.from_json(value.to_json()) == value
    other = next(task.input for task in TASKS.values() if task.input is not TASKS[name].input)
    with pytest.raises(ValueError, match="is not a task"):
        other.from_json(value.to_json())


def test_a_kind_that_is_not_listed_is_not_read():
    with pytest.raises(ValueError, match="nothing"):
        read_input("nothing", {})
    assert resolve_name("service.kinds.jobs:KINDS") is KINDS
    assert kind_of(GenerateInput) == "generate"
