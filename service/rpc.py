"""RPCs: what needs the algorithm while a request waits: imports, exports, blends, neighbours.

The API holds no torch. It hands such a thing to a worker as a job that nobody sees, in the first priority class,
and waits for its end. Here stands what an RPC may be asked, what is written when it ends, and what becomes of one that
nobody waits for any more. It knows neither HTTP nor how an RPC is done.
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
from service.concepts.concepts import NewConcept
from service.context import Service
from service.database.tables import Concept, EmbeddingVersion, Job
from service.errors import ConceptDeletedError, RpcFailedError, UnknownModelError, WorkerUnavailableError
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
"""Words that are kept a vector: as many as can be rpc_input for."""

ResultT = TypeVar("ResultT", bound=Versioned)


@dataclass(frozen=True, kw_only=True)
class ImportParams:
    """A concept to be made of an uploaded file."""

    name: str
    class_word: str
    model: str
    normalize: bool = False


@dataclass(frozen=True, kw_only=True)
class BlendPart:
    """A concept in a blend, by id or name, and its weight beside the others'."""

    concept: str
    weight: float


@dataclass(frozen=True, kw_only=True)
class BlendParams:
    """A concept to be made as the mean of others."""

    name: str
    parts: Sequence[BlendPart]


def check_import(service: Service, session: Session, owner_id: str, params: ImportParams) -> NewJob[ImportInput]:
    """Check a concept that is to be imported, before its file is stored; returns the RPC that makes it.

    Raises:
        InvalidInputError: the name or the class word cannot be one, or the model does not know the class word.
        UnknownModelError: the catalogue has no such model.
        NameTakenError: the owner already has a concept of that name.
        QuotaError, StorageQuotaExceededError: the owner has nothing left.
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
    """Queue the making of a concept from a file, which lies in the storage.

    Raises:
        TooManyJobsError: the owner has too many unfinished RPCs.
    """
    return _submit(service, session, replace(new, file_key=file_key))


def submit_blend(service: Service, session: Session, owner_id: str, params: BlendParams) -> Job:
    """Queue the making of a concept as the mean of others; model and words are those of the first part.

    Raises:
        InvalidInputError: the name cannot be one.
        NameTakenError: the owner already has a concept of that name.
        UnknownConceptError: some parts do not exist; all such are said.
        ModelMismatchError: they belong to different models.
        ConceptNotReadyError: some have no embedding yet.
        EmbeddingsDifferError: they have different numbers of vectors.
        QuotaError, StorageQuotaExceededError: the owner has nothing left.
        TooManyJobsError: the owner has too many unfinished RPCs.
    """
    usage.check_quotas(session, service.settings.quotas, owner_id)
    name = concepts.check_name(params.name)
    concepts.check_name_free(session, owner_id, name)
    parts = lookup.find(session, owner_id, [part.concept for part in params.parts])
    model = lookup.model_for(service.catalogue, None, parts).name
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
    """Queue the writing of a concept's embedding as another tool reads it.

    Args:
        service: the open parts.
        session: writes.
        concept: held by this session.
        file_format: whose.

    Raises:
        UnknownModelError: the catalogue no longer has the concept's model.
        TooManyJobsError: the owner has too many unfinished RPCs.
    """
    return _submit(service, session, _about(concept, ExportInput(format=file_format)))


def submit_neighbours(service: Service, session: Session, concept: Concept) -> Job:
    """Queue the search for the words next to what a concept learned; raises and takes what `submit_export` does."""
    return _submit(service, session, _about(concept, NeighboursInput()))


def finish_import(session: Session, claim: Claim[ImportInput], made: StoredEmbedding, norms: dict[str, Norms]) -> None:
    """End an import: its embedding becomes a concept, in the same transaction.

    Raises:
        NameTakenError: somebody was faster.
        LeaseLostError: the attempt is over.
    """

    def write() -> RpcResult[ImportResult]:
        concept = concepts.create_from_embedding(session, _new_concept(claim, "import"), made)
        return RpcResult(result=ImportResult(concept_id=concept.id, norms=norms))

    jobs.finish_rpc(session, claim, write)


def finish_blend(session: Session, claim: Claim[BlendInput], made: StoredEmbedding) -> None:
    """End a blend: its embedding becomes a concept, in the same transaction.

    Raises:
        NameTakenError: somebody was faster.
        LeaseLostError: the attempt is over; so it is when a part of the blend was deleted.
    """

    def write() -> RpcResult[BlendResult]:
        concept = concepts.create_from_embedding(session, _new_concept(claim, "blend"), made)
        return RpcResult(result=BlendResult(concept_id=concept.id))

    jobs.finish_rpc(session, claim, write)


def finish_export(session: Session, claim: Claim[ExportInput], file_key: str, extension: str) -> None:
    """End an export, whose file lies in the storage.

    Raises:
        LeaseLostError: the attempt is over; so it is when the concept was deleted.
    """
    jobs.finish_rpc(session, claim, lambda: RpcResult(result=ExportResult(extension=extension), file_key=file_key))


def finish_neighbours(session: Session, claim: Claim[NeighboursInput], found: NeighboursByEncoder) -> None:
    """End a search for neighbours: they are kept with the embedding.

    Raises:
        LeaseLostError: the attempt is over; so it is when the concept was deleted.
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
    """Queue a look at pictures, which lie in the storage; whoever works for the model takes it.

    Raises:
        TooManyJobsError: the owner has too many unfinished RPCs.
    """
    rpc_input = InspectInput(picture_keys=tuple(picture_keys))
    return _submit(service, session, NewJob(owner_id=owner_id, model=model, input=rpc_input))


def finish_inspection(session: Session, claim: Claim[InspectInput], verdicts: Sequence[SafetyVerdict]) -> None:
    """End a look at pictures with what is thought of each, in their order.

    Raises:
        LeaseLostError: the attempt is over.
    """
    jobs.finish_rpc(session, claim, lambda: RpcResult(result=InspectResult(verdicts=tuple(verdicts))))


def stored_neighbours(session: Session, version: EmbeddingVersion) -> NeighboursByEncoder | None:
    """The words next to what was learned, per encoder and vector; None where nobody has rpc_input yet."""
    query = select(EmbeddingVersion.neighbours).where(EmbeddingVersion.id == version.id)
    return cast("NeighboursByEncoder | None", session.scalars(query).one_or_none())


def result_of(job: Job, kind: type[ResultT], *, in_time: bool, waited_s: float) -> RpcResult[ResultT]:
    """What an RPC that was closed brings back, read as the result of its task.

    Raises:
        WorkerUnavailableError: it had not ended after `waited_s`.
        ConceptDeletedError: a concept that it was about was deleted meanwhile.
        RpcFailedError: it cannot be done.
    """
    if not in_time:
        raise WorkerUnavailableError(waited_s)
    if job.status == "failed":
        raise RpcFailedError(job.error_code or RpcFailedError.code, job.error_message or "")
    if job.result is None:
        # Called off, or done and then forgotten with the concept.
        raise ConceptDeletedError
    return RpcResult(result=kind.from_json(job.result), file_key=job.file_key)


def _about(concept: Concept, rpc_input: RpcInput) -> NewJob[RpcInput]:
    pins = [trainings.pinned(concept)]
    return NewJob(owner_id=concept.owner_id, model=concept.model, input=rpc_input, concepts=pins)


def _new_concept(claim: Claim[ImportInput] | Claim[BlendInput], method: str) -> NewConcept:
    return NewConcept(
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
