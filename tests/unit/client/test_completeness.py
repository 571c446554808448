"""The client is complete: every route, every field of every response, every error code."""

import inspect
from dataclasses import fields, is_dataclass
from functools import cache

import pytest
from dti_client import AsyncClient, Client, accounts, errors, models

from api.errors import STATUSES
from tools import api_docs

ELSEWHERE = {
    "AuditPage",
    "ConceptPage",
    "ConceptVersionPage",
    "DeliveryPage",
    "ImagePage",
    "JobPage",
    "KeyPage",
    "ModelPage",
    "Problem",
    "WebhookPage",
}
"""Pages are one generic class, and problems are exceptions."""


@pytest.fixture(scope="module")
def document():
    return api_docs.document()


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_every_route_of_the_document_is_a_method(client, document):
    operations = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(operations) > 30
    assert [name for name in operations if not hasattr(client, name)] == []
    assert [name for name in operations if not inspect.getdoc(inspect.getattr_static(client, name))] == []


def test_both_clients_have_the_same_methods():
    context_managers = {"__enter__", "__exit__", "__aenter__", "__aexit__"}
    assert set(vars(Client)) - context_managers == set(vars(AsyncClient)) - context_managers


def test_every_response_schema_of_the_document_is_a_dataclass_with_its_fields(document):
    schemas = {
        name: schema
        for name, schema in document["components"]["schemas"].items()
        if schema["type"] == "object" and set(schema["properties"]) == set(schema.get("required", ()))
    }
    responses = {name: schema for name, schema in schemas.items() if "Request" not in name and name not in ELSEWHERE}
    assert len(responses) > 25
    for name, schema in responses.items():
        if name == "BlendPart":
            continue
        kind = getattr(models, name, None) or getattr(accounts, name)
        assert is_dataclass(kind)
        assert {field.name for field in fields(kind)} == set(schema["properties"]), name


@cache
def kinds():
    return [kind for group in errors.ResponseError.__subclasses__() for kind in group.__subclasses__()]


def test_every_error_status_has_an_exception_and_every_code_of_an_exception_is_the_services():
    groups = errors.ResponseError.__subclasses__()
    assert [status for status in STATUSES.values() if not any(status in group.statuses for group in groups)] == []
    of_service = {(error.code, status) for error, status in STATUSES.items()}
    for group in groups:
        for kind in group.__subclasses__():
            for code in kind.codes:
                assert [
                    status for error_code, status in of_service if error_code == code and status in group.statuses
                ], code


def test_every_exception_is_in_the_drawn_tree():
    drawn = errors.__doc__
    assert [kind.__name__ for kind in kinds() if kind.__name__ not in drawn] == []
