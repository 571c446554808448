"""Examples of the OpenAPI document: one for every body and every JSON response, as "Try it out" sends and shows them.

An example of a response is made from its schema and a value for each name of a field; an example of a request stands
here, since it is sent as it is.
"""

from collections.abc import Mapping
from typing import Any

JsonObject = dict[str, Any]
"""A part of the document. `Any`: it holds values of different types."""

REQUESTS: Mapping[str, JsonObject] = {
    "BlendRequest": {
        "name": "my-blend",
        "parts": [{"concept": "my-dog", "weight": 1.0}, {"concept": "my-cat", "weight": 1.0}],
    },
    "ConceptChangeRequest": {"tags": ["animal", "pet"]},
    "ConceptImageChangeRequest": {"caption": "a dog on grass"},
    "GenerationRequest": {"prompt": "a photo of <my-dog> in the snow", "num_images": 1},
    "ImageChangeRequest": {"favourite": True},
    "ImagesRequest": {"prompt": "a photo of <my-dog> on the beach", "n": 1},
    "InterpolationRequest": {"from": "my-dog", "to": "my-cat", "frames": 3},
    "NewConcept": {"name": "my-penguin", "class_word": "penguin", "model": "tiny"},
    "NewConceptImages": {},
    "NewImport": {"name": "my-import", "class_word": "dog", "model": "tiny"},
    "NewKeyRequest": {"owner": "ada", "name": "laptop", "scopes": ["read", "train", "generate"]},
    "RetrainRequest": {"training": {"steps": 100}},
    "TokenCountRequest": {"prompt": "a photo of <my-dog> in the snow"},
    "WebhookChangeRequest": {"enabled": True},
    "WebhookRequest": {"url": "https://hooks.example.com/jobs"},
}
"""By schema; one that is missing here gets an example of its required fields."""

_JOB = "job_01m8j9f7cn1v9k2w3x4y5z6a7b"
_CONCEPT = "con_01m8j9f7cn1v9k2w3x4y5z6a7b"
_IMAGE = "img_01m8j9f7cn1v9k2w3x4y5z6a7b"
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_PROMPT = "a photo of <my-dog> in the snow"

_KEYS: Mapping[str, str] = {"encoders": "text_encoder", "norms": "text_encoder", "training": "steps"}
"""By field: the key of an example of a mapping."""

_VALUES: Mapping[str, object] = {
    "angle": [0.0, 0.02],
    "bytes": 6210,
    "caption": "a dog on grass",
    "class_word": "dog",
    "content_type": "image/png",
    "cosine": 0.83,
    "detail": "There is no concept 'my-bird'.",
    "device": "cpu",
    "dim": 768,
    "duplicate_of": None,
    "embedding_sha256": _SHA256,
    "error": None,
    "eta_s": 3.5,
    "family": "sd",
    "filename": "1.jpg",
    "guidance_scale": 4.0,
    "height": 64,
    "image": _IMAGE,
    "interruption": None,
    "input": {"prompt": _PROMPT, "num_images": 4, "steps": 20, "seed": 2481632},
    "job": _JOB,
    "loss": 0.12,
    "magnitude": 0.39,
    "message": "What happened, and what to do.",
    "model": "tiny",
    "name": "my-dog",
    "owner": "ada",
    "prefix": "dti_3fJ8",
    "prompt": _PROMPT,
    "reason": None,
    "scheduler": "ddim",
    "schedulers": ["ddim", "euler"],
    "scopes": ["read", "generate"],
    "seed": 2481632,
    "sha256": _SHA256,
    "size": "64x64",
    "subjects": ["steps"],
    "tags": ["animal", "pet"],
    "title": "Not Found",
    "token": "dog",
    "trigger": "<my-dog>",
    "type": "about:blank",
    "url": "https://dti.example.com/dti/own_local/images/1.png?X-Amz-Signature=…",
    "width": 64,
}
"""By name of a field."""

_OF_SCHEMA: Mapping[str, Mapping[str, object]] = {
    "AuditEntry": {
        "id": "aud_01m8j9f7cn1v9k2w3x4y5z6a7b",
        "action": "concept.deleted",
        "subject": _CONCEPT,
        "details": {"name": "my-dog"},
        "key": "key_01m8j9f7cn1v9k2w3x4y5z6a7b",
        "request_id": "req_5f2c9a7e1b3d4f6a8c0e2d4b",
    },
    "Concept": {"id": _CONCEPT, "training": {"steps": 400, "learning_rate": 0.04}},
    "ConceptVersion": {"training": {"steps": 400, "learning_rate": 0.04}},
    "ConceptWithWarnings": {"id": _CONCEPT, "training": {"steps": 400, "learning_rate": 0.04}},
    "Curve": {"loss": [0.21, 0.19]},
    "Delivery": {"type": "job.succeeded", "url": "https://hooks.example.com/jobs"},
    "GalleryImage": {"id": _IMAGE, "concepts": ["my-dog"]},
    "Image": {"id": _IMAGE},
    "ImportedConcept": {"id": _CONCEPT, "training": {}},
    "Job": {"id": _JOB},
    "JobConcept": {"id": _CONCEPT},
    "Links": {"self": f"/v1/jobs/{_JOB}", "events": f"/v1/jobs/{_JOB}/events", "cancel": f"/v1/jobs/{_JOB}/cancel"},
    "ModelDefaults": {"training": {"dti": {"steps": 400, "learning_rate": 0.04}}},
    "Norms": {"before": [9.2], "after": [0.39]},
    "OpenAIImage": {"b64_json": None, "revised_prompt": None},
    "OpenAIModel": {"id": "tiny", "created": 0},
    "TokenCount": {"concepts": ["my-dog"]},
    "TrainingImage": {"id": _IMAGE, "size": 1.0},
    "Webhook": {"url": "https://hooks.example.com/jobs", "events": ["job.succeeded", "job.failed"]},
}
"""By schema and field, where the name alone says too little."""

_BY_FORMAT: Mapping[str, object] = {"date-time": "2026-01-01T12:00:00Z", "date": "2026-01-01"}
_BY_TYPE: Mapping[str, object] = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "null": None}


def add_examples(document: JsonObject) -> None:
    """Add an example to every body and every JSON response of a document."""
    schemas = document["components"]["schemas"]
    for by_method in document["paths"].values():
        for operation in by_method.values():
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                name = _name(content["schema"])
                content["example"] = request_example(schemas, name)
                if kind == "multipart/form-data":
                    _add_to_fields(schemas[name]["properties"], content["example"])
            for status, response in operation["responses"].items():
                content = response.get("content", {}).get("application/json")
                if content and status.startswith("2"):
                    content["example"] = _example(schemas, content["schema"], "", "")


def request_example(schemas: JsonObject, name: str) -> JsonObject:
    """The example of a request body."""
    if name in REQUESTS:
        return REQUESTS[name]
    schema = schemas[name]
    fields = schema.get("properties", {})
    return {field: _example(schemas, fields[field], name, field) for field in schema.get("required", ())}


def _add_to_fields(fields: JsonObject, example: JsonObject) -> None:
    """Add the values of an example to the fields of a form, which tools fill in one by one."""
    for field, value in example.items():
        fields[field]["example"] = value


def _name(schema: JsonObject) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _example(schemas: JsonObject, schema: JsonObject, owner: str, field: str) -> object:
    """An example of a schema, which is a field of another one; "" for none."""
    special = _OF_SCHEMA.get(owner, {})
    if field in special:
        return special[field]
    if "$ref" in schema:
        name = _name(schema)
        return {key: _example(schemas, part, name, key) for key, part in schemas[name].get("properties", {}).items()}
    if "anyOf" in schema:
        return _VALUES[field] if field in _VALUES else _example(schemas, schema["anyOf"][0], owner, field)
    if "const" in schema or "enum" in schema:
        return schema.get("const", next(iter(schema.get("enum", ()))) if "enum" in schema else None)
    if field in _VALUES:
        return _VALUES[field]
    return _plain(schemas, schema, owner, field)


def _plain(schemas: JsonObject, schema: JsonObject, owner: str, field: str) -> object:
    kind = schema.get("type")
    if kind == "array":
        return [_example(schemas, schema["items"], owner, "")]
    if kind == "object" or kind is None:
        values = schema.get("additionalProperties")
        return {_KEYS.get(field, "dti"): _example(schemas, values, owner, "")} if isinstance(values, dict) else {}
    if field == "id" or field.endswith("_id"):
        return _IMAGE
    return _BY_FORMAT.get(schema.get("format", ""), _BY_TYPE[kind])
