"""Remote procedure calls to workers: imports, exports, blends, neighbours, safety checks of uploads.

The API holds no torch. A request submits such a task as a job of the first priority class, invisible to clients, and
waits for its result. Submissions, results and their transactions are here; HTTP and the execution are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from dti.spec.settings import EmbeddingFormat
from service import jobs
from service.accounts import usage
from service.concepts import concepts, lookup, trainings
from service.concepts.concepts import CheckedConcept
from service.context import Service
from service.database.tables import Concept, EmbeddingVersion, Job
from service.errors import (
    ConceptDeletedError,
    ModelMismatchError,
    RpcFailedError,
    UnknownModelError,
    WorkerUnavailableError,
)
from service.jobs import Claim, NewJob, RpcResult, StoredEmbedding
from service.kinds.rpc import (
    BlendInput,
    BlendResult,
    ExportInput,
    ExportResult,
    ImportInput,
    ImportResult,
    InspectInput,
    InspectResult,
    NeighboursByEncoder,
    NeighboursInput,
    NeighboursResult,
    Norms,
    RpcInput,
)
from service.kinds.versioned import Versioned
from service.safety import SafetyVerdict

MAX_NEIGHBOURS = 50
"""Stored words per vector, and the most that a request can ask for."""

ResultT = TypeVar("ResultT", bound=Versioned)


@dataclass(frozen=True, kw_only=True)
class ImportParams:
    """A concept to create from an uploaded file."""

    name: str
    class_word: str
    model: str
    normalize: bool = False


@dataclass(frozen=True, kw_only=True)
class BlendPart:
    """A concept in a blend, by id or name, and its weight relative to the others."""

    concept: str
    weight: float


@dataclass(frozen=True, kw_only=True)
class BlendParams:
    """A concept to create as the mean of others."""

    name: str
    parts: Sequence[BlendPart]


def check_import(service: Service, session: Session, owner_id: str, params: ImportParams) -> NewJob[ImportInput]:
    """Check an import before its file is stored; returns the job to submit.

    Raises:
        InvalidInputError: name or class word is invalid, or the model does not know the class word.
        UnknownModelError: the catalogue has no such model.
        NameTakenError: the owner already has a concept of that name.
        QuotaError, StorageQuotaExceededError: a quota of the owner is used up.
    """
    usage.check_quotas(session, service.settings.quotas, owner_id)
    rpc_input = ImportInput(
        name=concepts.check_name(params.name),
        class_word=concepts.check_class_word(params.class_word),
        normalize=params.normalize,
    )
    model = service.catalogue[params.model].name
    concepts.check_name_free(session, owner_id, rpc_input.name)
    service.token_limits.check_class_word(session, model, rpc_input.class_word)
    return NewJob(owner_id=owner_id, model=model, input=rpc_input)


def submit_import(service: Service, session: Session, new: NewJob[ImportInput], file_key: str) -> Job:
    """Submit an import of a stored file.

    Raises:
        TooManyJobsError: the owner has too many unfinished RPCs.
    """
    return _submit(service, session, replace(new, file_key=file_key))


def submit_blend(service: Service, session: Session, owner_id: str, params: BlendParams) -> Job:
    """Submit a blend of concepts; model and class word are those of the first part.

    Raises:
        InvalidInputError: the name is invalid.
        NameTakenError: the owner already has a concept of that name.
        UnknownConceptError: some parts do not exist; all of them are listed.
        ModelMismatchError: they belong to different models.
        ConceptNotReadyError: some have no embedding yet.
        EmbeddingsDifferError: they have different numbers of vectors.
        QuotaError, StorageQuotaExceededError: a quota of the owner is used up.
        TooManyJobsError: the owner has too many unfinished RPCs.
    """
    usage.check_quotas(session, service.settings.quotas, owner_id)
    name = concepts.check_name(params.name)
    concepts.check_name_free(session, owner_id, name)
    parts = lookup.find(session, owner_id, [part.concept for part in params.parts])
    model = lookup.model_for(service.catalogue, None, parts).name
    for part in parts:
        if part.model != model:
            raise ModelMismatchError(part.name, part.model, model)
    vectors = lookup.vectors_of(parts)
    for other in parts[1:]:
        lookup.check_same_vectors(parts[0].name, other.name, vectors)
    rpc_input = BlendInput(
        name=name,
        class_word=parts[0].class_word,
        learnable_property=parts[0].learnable_property,
        weights=tuple(part.weight for part in params.parts),
    )
    pins = [trainings.pinned(part) for part in parts]
    return _submit(service, session, NewJob(owner_id=owner_id, model=model, input=rpc_input, concepts=pins))


def submit_export(service: Service, session: Session, concept: Concept, file_format: EmbeddingFormat) -> Job:
    """Submit an export of a concept's embedding to the file format of another tool.

    Args:
        service: with the settings of the caller.
        session: writes.
        concept: locked by this session.
        file_format: of the file.

    Raises:
        UnknownModelError: the catalogue no longer has the concept's model.
        TooManyJobsError: the owner has too many unfinished RPCs.
    """
    return _submit(service, session, _about(concept, ExportInput(format=file_format)))


def submit_neighbours(service: Service, session: Session, concept: Concept) -> Job:
    """Submit a search for the words nearest to a concept's rows; arguments and errors as for `submit_export`."""
    return _submit(service, session, _about(concept, NeighboursInput()))


def finish_import(session: Session, claim: Claim[ImportInput], made: StoredEmbedding, norms: dict[str, Norms]) -> None:
    """End an import: its embedding becomes a concept, in the same transaction.

    Raises:
        NameTakenError: another request has taken the name meanwhile.
        LeaseLostError: the attempt is over.
    """

    def write() -> RpcResult[ImportResult]:
        concept = concepts.create_from_embedding(session, _new_concept(claim, "import"), made)
        return RpcResult(result=ImportResult(concept_id=concept.id, norms=norms))

    jobs.finish_rpc(session, claim, write)


def finish_blend(session: Session, claim: Claim[BlendInput], made: StoredEmbedding) -> None:
    """End a blend: its embedding becomes a concept, in the same transaction.

    Raises:
        NameTakenError: another request has taken the name meanwhile.
        LeaseLostError: the attempt is over, or a part of the blend was deleted.
    """

    def write() -> RpcResult[BlendResult]:
        concept = concepts.create_from_embedding(session, _new_concept(claim, "blend"), made)
        return RpcResult(result=BlendResult(concept_id=concept.id))

    jobs.finish_rpc(session, claim, write)


def finish_export(session: Session, claim: Claim[ExportInput], file_key: str, extension: str) -> None:
    """End an export with its stored file.

    Raises:
        LeaseLostError: the attempt is over, or the concept was deleted.
    """
    jobs.finish_rpc(session, claim, lambda: RpcResult(result=ExportResult(extension=extension), file_key=file_key))


def finish_neighbours(session: Session, claim: Claim[NeighboursInput], found: NeighboursByEncoder) -> None:
    """End a search for neighbours, and store them with the embedding.

    Raises:
        LeaseLostError: the attempt is over, or the concept was deleted.
    """
    about = claim.concepts[0]

    def write() -> RpcResult[NeighboursResult]:
        pinned = (EmbeddingVersion.concept_id == about.id) & (EmbeddingVersion.key == about.embedding_key)
        session.execute(update(EmbeddingVersion).where(pinned).values(neighbours=dict(found)))
        return RpcResult(result=NeighboursResult(encoders=found))

    jobs.finish_rpc(session, claim, write)


def submit_inspection(
    service: Service, session: Session, *, owner_id: str, model: str, picture_keys: Sequence[str]
) -> Job:
    """Submit a safety check of stored pictures, to a worker of a model.

    Raises:
        TooManyJobsError: the owner has too many unfinished RPCs.
    """
    rpc_input = InspectInput(picture_keys=tuple(picture_keys))
    return _submit(service, session, NewJob(owner_id=owner_id, model=model, input=rpc_input))


def finish_inspection(session: Session, claim: Claim[InspectInput], verdicts: Sequence[SafetyVerdict]) -> None:
    """End a safety check with the assessments, in the order of the pictures.

    Raises:
        LeaseLostError: the attempt is over.
    """
    jobs.finish_rpc(session, claim, lambda: RpcResult(result=InspectResult(verdicts=tuple(verdicts))))


def stored_neighbours(session: Session, version: EmbeddingVersion) -> NeighboursByEncoder | None:
    """The stored neighbours of an embedding; None if they were never computed."""
    query = select(EmbeddingVersion.neighbours).where(EmbeddingVersion.id == version.id)
    return cast("NeighboursByEncoder | None", session.scalars(query).one_or_none())


def result_of(job: Job, kind: type[ResultT], *, in_time: bool, waited_s: float) -> RpcResult[ResultT]:
    """The result of an RPC that is over.

    Raises:
        WorkerUnavailableError: it did not end within `waited_s`.
        ConceptDeletedError: a concept in it was deleted meanwhile.
        RpcFailedError: it has failed.
    """
    if not in_time:
        raise WorkerUnavailableError(waited_s)
    if job.status == "failed":
        raise RpcFailedError(job.error_code or RpcFailedError.code, job.error_message or "")
    if job.result is None:
        # Cancelled, or its result was deleted with the concept.
        raise ConceptDeletedError
    return RpcResult(result=kind.from_json(job.result), file_key=job.file_key)


def _about(concept: Concept, rpc_input: RpcInput) -> NewJob[RpcInput]:
    pins = [trainings.pinned(concept)]
    return NewJob(owner_id=concept.owner_id, model=concept.model, input=rpc_input, concepts=pins)


def _new_concept(claim: Claim[ImportInput] | Claim[BlendInput], method: str) -> CheckedConcept:
    return CheckedConcept(
        owner_id=claim.owner_id,
        name=claim.input.name,
        class_word=claim.input.class_word,
        learnable_property=claim.input.learnable_property,
        model=claim.model,
        method=method,
    )


def _submit(service: Service, session: Session, rpc: NewJob[RpcInput]) -> Job:
    if rpc.model not in service.catalogue:
        raise UnknownModelError(rpc.model, tuple(service.catalogue))
    return jobs.submit(service, session, rpc)
