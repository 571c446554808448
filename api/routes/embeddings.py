"""Embeddings: import, blend, export, nearest neighbours."""

import secrets
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, File, Query, Response

from api import serializers
from api.deps import ConceptReference, ReadAccess, RequestContext, TrainAccess, in_thread
from api.forms import FormRoute
from api.idempotency import Idempotent, IdempotentRequest
from api.rpc import call, delete_file, result_file
from api.schemas import responses
from api.schemas.requests import BlendRequest, NewImport
from api.uploads import reject_repeated_fields
from dti.spec.settings import EmbeddingFormat
from service import rpc
from service.concepts import concepts
from service.database.tables import Concept, EmbeddingVersion, Job
from service.errors import BodyTooLargeError, ConceptNotReadyError
from service.kinds.rpc import BlendResult, ExportResult, ImportResult, NeighboursByEncoder, NeighboursResult

router = APIRouter(tags=["concepts"], route_class=FormRoute)

_ANY_FILE = "application/octet-stream"
_FILE = {
    "description": "The file's bytes.",
    "content": {_ANY_FILE: {"schema": {"type": "string", "format": "binary"}}},
}


@router.post("/concepts/import", status_code=HTTPStatus.CREATED, dependencies=[Depends(reject_repeated_fields)])
async def import_concept(
    context: TrainAccess, form: Annotated[NewImport, File()], idempotent: IdempotentRequest, response: Response
) -> responses.ImportedConcept:
    """Create a concept from an embedding file of this or another tool; it is ready at once."""
    rpc_id = await idempotent.run(partial(_submit_import, context, form, idempotent), context.upload_limiter)
    async with call(context, rpc_id, ImportResult, idempotent) as reply:
        concept = await in_thread(partial(_concept, context, reply.result.concept_id))
    response.headers["Location"] = f"/v1/concepts/{concept.id}"
    return responses.ImportedConcept(**vars(concept), norms=_norms(reply.result))


@router.post("/concepts/blend", status_code=HTTPStatus.CREATED)
async def blend_concepts(
    context: TrainAccess, request: BlendRequest, idempotent: IdempotentRequest, response: Response
) -> responses.Concept:
    """Create a concept as the weighted spherical mean of others; it is ready at once."""
    rpc_id = await idempotent.run(partial(_submit_blend, context, request, idempotent))
    async with call(context, rpc_id, BlendResult, idempotent) as reply:
        concept = await in_thread(partial(_concept, context, reply.result.concept_id))
    response.headers["Location"] = f"/v1/concepts/{concept.id}"
    return concept


@router.get("/concepts/{reference}/embedding", response_class=Response, responses={200: _FILE})
async def read_embedding(
    context: ReadAccess,
    reference: ConceptReference,
    format: Annotated[EmbeddingFormat, Query(description="The file format, by the tool that reads it.")] = "dti",  # noqa: A002
) -> Response:
    """Download a concept's embedding as a file for this or another tool."""
    if format == "dti":
        concept, version = await in_thread(partial(_ready, context, reference))
        data = await in_thread(partial(context.service.storage.get, version.key))
        return _file(concept, version, data, ".safetensors", format)
    submit = partial(rpc.submit_export, file_format=format)
    concept, version, rpc_id = await in_thread(partial(_submit_about, context, reference, submit))
    async with call(context, rpc_id, ExportResult) as reply:
        data = await in_thread(partial(result_file, context, reply))
    return _file(concept, version, data, reply.result.extension, format)


@router.get("/concepts/{reference}/neighbours")
async def read_neighbours(
    context: ReadAccess,
    reference: ConceptReference,
    k: Annotated[int, Query(ge=1, le=rpc.MAX_NEIGHBOURS, description="Words per vector.")] = 10,
) -> responses.Neighbours:
    """Read the words of the model's vocabulary that are nearest in direction to a concept."""
    version, neighbours = await in_thread(partial(_stored_neighbours, context, reference))
    if neighbours is None:
        _, version, rpc_id = await in_thread(partial(_submit_about, context, reference, rpc.submit_neighbours))
        async with call(context, rpc_id, NeighboursResult) as reply:
            neighbours = reply.result.encoders
    encoders = {encoder: [words[:k] for words in vectors] for encoder, vectors in neighbours.items()}
    return responses.Neighbours.model_validate({"embedding_sha256": version.sha256, "encoders": encoders})


def _submit_import(context: RequestContext, form: NewImport, idempotent: Idempotent) -> str:
    with context.service.database.reading() as session:
        new = rpc.check_import(context.service, session, context.owner_id, form.params())
    key = _upload(context, form)
    try:
        with context.service.database.writing() as session:
            return idempotent.commit(session, rpc.submit_import(context.service, session, new, key).id)
    except BaseException:
        delete_file(context, key)
        raise


def _upload(context: RequestContext, form: NewImport) -> str:
    """Store the uploaded file under a unique key; returns the key."""
    limit_bytes = context.service.settings.limits.embedding_bytes
    data = form.file.file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise BodyTooLargeError(limit_bytes)
    key = f"{context.owner_id}/rpc/{secrets.token_hex(16)}.upload"
    context.service.storage.put(key, data, _ANY_FILE)
    return key


def _submit_blend(context: RequestContext, request: BlendRequest, idempotent: Idempotent) -> str:
    with context.service.database.writing() as session:
        job = rpc.submit_blend(context.service, session, context.owner_id, request.params())
        return idempotent.commit(session, job.id)


def _submit_about(
    context: RequestContext, reference: str, submit: Callable[..., Job]
) -> tuple[Concept, EmbeddingVersion, str]:
    """A concept, its present embedding, and the id of the submitted RPC about them."""
    with context.service.database.writing() as session:
        concept = concepts.get_ready_locked(session, context.owner_id, reference)
        job = submit(context.service, session, concept)
        return concept, _version(concept), job.id


def _ready(context: RequestContext, reference: str) -> tuple[Concept, EmbeddingVersion]:
    with context.service.database.reading() as session:
        concept = concepts.get(session, context.owner_id, reference)
        return concept, _version(concept)


def _stored_neighbours(context: RequestContext, reference: str) -> tuple[EmbeddingVersion, NeighboursByEncoder | None]:
    with context.service.database.reading() as session:
        version = _version(concepts.get(session, context.owner_id, reference))
        return version, rpc.stored_neighbours(session, version)


def _norms(result: ImportResult) -> dict[str, responses.Norms]:
    return {encoder: responses.Norms(before=norms.before, after=norms.after) for encoder, norms in result.norms.items()}


def _version(concept: Concept) -> EmbeddingVersion:
    if concept.embedding is None:
        raise ConceptNotReadyError([concept.name])
    return concept.embedding


def _concept(context: RequestContext, concept_id: str) -> responses.Concept:
    with context.service.database.reading() as session:
        row = concepts.get(session, context.owner_id, concept_id)
        return serializers.concept(context.service, session, row, with_urls=True)


def _file(concept: Concept, version: EmbeddingVersion, data: bytes, extension: str, file_format: str) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{concept.name}{extension}"',
        "ETag": f'"{version.sha256}-{file_format}"',
    }
    return Response(data, media_type=_ANY_FILE, headers=headers)
