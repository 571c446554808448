"""Embeddings: brought along from other tools, blended, taken home, explained in words."""

import secrets
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Query, Response

from api import serializers
from api.deps import Call, ConceptReference, ReadCaller, TrainCaller, in_thread, now
from api.idempotency import Once
from api.rpc import awaited, fetched, forget
from api.schemas import responses
from api.schemas.requests import BlendRequest, NewImport
from api.uploads import said_once
from dti.spec.settings import EmbeddingFormat
from service import rpc
from service.concepts import concepts
from service.database.tables import Concept, EmbeddingVersion, Job
from service.errors import BodyTooLargeError, ConceptNotReadyError

router = APIRouter(tags=["concepts"])

_ANY_FILE = "application/octet-stream"
_FILE = {
    "description": "The file's bytes.",
    "content": {_ANY_FILE: {"schema": {"type": "string", "format": "binary"}}},
}


@router.post("/concepts/import", status_code=HTTPStatus.CREATED, dependencies=[Depends(said_once)])
async def import_concept(
    call: TrainCaller, form: Annotated[NewImport, File()], once: Once, response: Response
) -> responses.ImportedConcept:
    """Make a concept of an embedding that this or another tool has written; it is ready at once."""
    rpc_id = await once.make(partial(_submit_import, call, form), call.uploads)
    async with awaited(call, rpc_id, once) as brought:
        concept = await in_thread(partial(_concept, call, brought.result["concept"]))
    response.headers["Location"] = f"/v1/concepts/{concept.id}"
    return responses.ImportedConcept(**vars(concept), norms=brought.result["norms"])


@router.post("/concepts/blend", status_code=HTTPStatus.CREATED)
async def blend_concepts(call: TrainCaller, request: BlendRequest, once: Once, response: Response) -> responses.Concept:
    """Make a concept as the weighted spherical mean of others; it is ready at once."""
    rpc_id = await once.make(partial(_submit_blend, call, request))
    async with awaited(call, rpc_id, once) as brought:
        concept = await in_thread(partial(_concept, call, brought.result["concept"]))
    response.headers["Location"] = f"/v1/concepts/{concept.id}"
    return concept


@router.get("/concepts/{reference}/embedding", response_class=Response, responses={200: _FILE})
async def read_embedding(
    call: ReadCaller,
    reference: ConceptReference,
    format: Annotated[EmbeddingFormat, Query(description="Whose file it is to be.")] = "dti",  # noqa: A002
) -> Response:
    """What was learned, as a file that this or another tool reads."""
    if format == "dti":
        concept, version = await in_thread(partial(_ready, call, reference))
        data = await in_thread(partial(call.service.storage.get, version.key))
        return _file(concept, version, data, ".safetensors", format)
    submit = partial(rpc.submit_export, file_format=format)
    concept, version, rpc_id = await in_thread(partial(_submit_about, call, reference, submit))
    async with awaited(call, rpc_id) as brought:
        data = await in_thread(partial(fetched, call, brought))
    return _file(concept, version, data, brought.result["extension"], format)


@router.get("/concepts/{reference}/neighbours")
async def read_neighbours(
    call: ReadCaller,
    reference: ConceptReference,
    k: Annotated[int, Query(ge=1, le=rpc.KEPT_NEIGHBOURS, description="How many words a vector at most.")] = 10,
) -> responses.Neighbours:
    """What a concept has learned, in words: those of the model's vocabulary whose directions are nearest."""
    version, found = await in_thread(partial(_kept_neighbours, call, reference))
    if found is None:
        _, version, rpc_id = await in_thread(partial(_submit_about, call, reference, rpc.submit_neighbours))
        async with awaited(call, rpc_id) as brought:
            found = brought.result
    encoders = {encoder: [words[:k] for words in vectors] for encoder, vectors in found.items()}
    return responses.Neighbours.model_validate({"embedding_sha256": version.sha256, "encoders": encoders})


def _submit_import(call: Call, form: NewImport) -> str:
    said = form.given(without={"file"})
    with call.service.database.reading() as session:
        new = rpc.check_import(call.service, session, call.owner_id, said, now())
    key = _upload(call, form)
    try:
        with call.service.database.writing() as session:
            return rpc.submit_import(call.service, session, new, key, now(), normalize=form.normalize).id
    except BaseException:
        forget(call, key)
        raise


def _upload(call: Call, form: NewImport) -> str:
    """The key of the uploaded file, which lies in the storage from now on under a name that nothing shares."""
    limit_bytes = call.service.settings.limits.embedding_bytes
    data = form.file.file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise BodyTooLargeError(limit_bytes)
    key = f"{call.owner_id}/rpc/{secrets.token_hex(16)}.upload"
    call.service.storage.put(key, data, _ANY_FILE)
    return key


def _submit_blend(call: Call, request: BlendRequest) -> str:
    with call.service.database.writing() as session:
        return rpc.submit_blend(call.service, session, call.owner_id, request.given(), now()).id


def _submit_about(call: Call, reference: str, submit: Callable[..., Job]) -> tuple[Concept, EmbeddingVersion, str]:
    """A concept, the embedding that it has now, and the RPC about them."""
    with call.service.database.writing() as session:
        concept = concepts.hold(session, call.owner_id, reference)
        rpc = submit(call.service, session, concept, now=now())
        return concept, _version(concept), rpc.id


def _ready(call: Call, reference: str) -> tuple[Concept, EmbeddingVersion]:
    with call.service.database.reading() as session:
        concept = concepts.get(session, call.owner_id, reference)
        return concept, _version(concept)


def _kept_neighbours(call: Call, reference: str) -> tuple[EmbeddingVersion, Mapping[str, Any] | None]:
    with call.service.database.reading() as session:
        version = _version(concepts.get(session, call.owner_id, reference))
        return version, rpc.neighbours_of(session, version)


def _version(concept: Concept) -> EmbeddingVersion:
    if concept.embedding is None:
        raise ConceptNotReadyError([concept.name])
    return concept.embedding


def _concept(call: Call, concept_id: str) -> responses.Concept:
    with call.service.database.reading() as session:
        return serializers.concept(call.service, concepts.get(session, call.owner_id, concept_id), with_urls=True)


def _file(concept: Concept, version: EmbeddingVersion, data: bytes, extension: str, file_format: str) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{concept.name}{extension}"',
        "ETag": f'"{version.sha256}-{file_format}"',
    }
    return Response(data, media_type=_ANY_FILE, headers=headers)
