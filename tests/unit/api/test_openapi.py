"""The OpenAPI document says everything: sentences, examples that are valid, files, licence, servers."""

import jsonschema
import pytest

from tools import api_docs


@pytest.fixture(scope="module")
def document():
    return api_docs.document()


def operations(document):
    return [
        (f"{method} {path}", operation)
        for path, by_method in document["paths"].items()
        for method, operation in by_method.items()
    ]


def test_every_field_and_parameter_has_a_sentence(document):
    fields = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, details in schema.get("properties", {}).items()
        if not details.get("description", "").strip().endswith((".", "`"))
    ]
    parameters = [
        f"{name} {parameter['name']}"
        for name, operation in operations(document)
        for parameter in operation.get("parameters", ())
        if not parameter.get("description")
    ]
    assert fields + parameters == []


def test_every_body_and_every_answer_has_a_valid_example(document):
    bodies = list(examples(document))
    assert len(bodies) > 50
    for name, content in bodies:
        assert "example" in content, name
        schema = {**content["schema"], "components": document["components"]}
        if "multipart" not in name:
            jsonschema.Draft202012Validator(schema).validate(content["example"])


def examples(document):
    for name, operation in operations(document):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{name} {kind}", content
        for status, response in operation["responses"].items():
            for kind, content in response.get("content", {}).items():
                if status.startswith("2") and kind == "application/json":
                    yield f"{name} {status}", content


def test_files_are_marked_so_that_every_tool_offers_a_file_chooser(document):
    files = {
        f"{name}.{field}": details.get("items", details).get("format")
        for name, schema in document["components"]["schemas"].items()
        for field, details in schema.get("properties", {}).items()
        if "contentMediaType" in details.get("items", details) and "contentSchema" not in details
    }
    assert {"NewConcept.images", "NewConcept.archive", "NewImport.file", "NewConceptImages.images"} <= set(files)
    assert set(files.values()) == {"binary"}


def test_summaries_are_sentences_and_no_two_are_equal(document):
    summaries = [operation["summary"] for _, operation in operations(document)]
    assert [summary for summary in summaries if len(summary.split()) < 3 and summary] == []
    assert len(set(summaries)) == len(summaries)


def test_servers_licence_and_the_policy_of_versions_are_told(document):
    assert document["servers"]
    assert document["info"]["license"]["identifier"] == "Apache-2.0"
    assert "deprecated" in document["info"]["description"]
