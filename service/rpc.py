"""RPCs: what needs the algorithm while a request waits: imports, exports, blends, neighbours.

The API holds no torch. It hands such a thing to a worker as a job that nobody sees, in the first priority class,
and waits for its end. Here stands what an RPC may be asked, what is written when it ends, and what becomes of one that
nobody waits for any more. It knows neither HTTP nor how an RPC is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

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
from service.jobs import Claim, EmbeddingMade, NewJob, RpcResult

Task = Literal["import", "blend", "export", "neighbours", "inspect"]

KEPT_NEIGHBOURS = 50
"""Words that are kept a vector: as many as can be asked for."""


def check_import(service: Service, session: Session, owner_id: str, fields: Mapping[str, Any]) -> NewConcept:
    """Check what a client said of a concept that is to be imported, before its file is stored.

    Raises:
        InvalidInputError: the name or the class word cannot be one, or the model does not know the class word.
        UnknownModelError: the catalogue has no such model.
        NameTakenError: the owner already has a concept of that name.
        QuotaError, StorageQuotaExceededError: the owner has nothing left.
    """
    usage.check(session, service.settings.quotas, owner_id)
    new = NewConcept(
        owner_id=owner_id,
        name=concepts.check_name(fields["name"]),
        class_word=concepts.check_class_word(fields["class_word"]),
        learnable_property="object",
        model=service.catalogue[fields["model"]].name,
        method="import",
        training={},
    )
    concepts.check_free(session, owner_id, new.name)
    service.token_limits.check_class_word(session, new.model, new.class_word)
    return new


def submit_import(service: Service, session: Session, new: NewConcept, file_key: str, *, normalize: bool) -> Job:
    """Queue the making of a concept from a file, which lies in the storage.

    Raises:
        TooManyJobsError: the owner has too many unfinished RPCs.
    """
    asked = {"concept": asdict(new), "normalize": normalize}
    rpc = replace(_rpc("import", new.owner_id, new.model, asked), file_key=file_key)
    return _submit(service, session, rpc)


def submit_blend(service: Service, session: Session, owner_id: str, fields: Mapping[str, Any]) -> Job:
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
    usage.check(session, service.settings.quotas, owner_id)
    name = concepts.check_name(fields["name"])
    concepts.check_free(session, owner_id, name)
    parts = lookup.find(session, owner_id, [part["concept"] for part in fields["parts"]])
    model = lookup.model_for(service.catalogue, None, parts).name
    encoders = lookup.encoders_of(parts)
    for other in parts[1:]:
        lookup.check_alike(parts[0].name, other.name, encoders)
    new = NewConcept(
        owner_id=owner_id,
        name=name,
        class_word=parts[0].class_word,
        learnable_property=parts[0].learnable_property,
        model=model,
        method="blend",
        training={},
    )
    asked = {"concept": asdict(new), "weights": [part["weight"] for part in fields["parts"]]}
    return _submit(service, session, _rpc("blend", owner_id, model, asked, about=parts))


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
    asked = {"format": file_format}
    rpc = _rpc("export", concept.owner_id, concept.model, asked, about=[concept])
    return _submit(service, session, rpc)


def submit_neighbours(service: Service, session: Session, concept: Concept) -> Job:
    """Queue the search for the words next to what a concept learned; raises and takes what `submit_export` does."""
    rpc = _rpc("neighbours", concept.owner_id, concept.model, {}, about=[concept])
    return _submit(service, session, rpc)


def finish_concept(session: Session, claim: Claim, made: EmbeddingMade, *, told: Mapping[str, Any]) -> None:
    """End an import or a blend: what it made is a concept, in the same transaction.

    Args:
        session: writes.
        claim: the RPC.
        made: lies in the storage.
        told: what the answer says beside the concept.

    Raises:
        NameTakenError: somebody was faster.
        LeaseLostError: the attempt is over; so it is when a part of a blend was deleted.
    """

    def write() -> RpcResult:
        concept = concepts.adopt(session, NewConcept(**claim.input["concept"]), made)
        return RpcResult(result={**told, "concept": concept.id})

    jobs.finish_rpc(session, claim, write)


def finish_export(session: Session, claim: Claim, file_key: str, extension: str) -> None:
    """End an export, whose file lies in the storage.

    Raises:
        LeaseLostError: the attempt is over; so it is when the concept was deleted.
    """
    jobs.finish_rpc(session, claim, lambda: RpcResult(result={"extension": extension}, file_key=file_key))


def finish_neighbours(session: Session, claim: Claim, found: Mapping[str, Any]) -> None:
    """End a search for neighbours: they are kept with the embedding.

    Raises:
        LeaseLostError: the attempt is over; so it is when the concept was deleted.
    """
    about = claim.concepts[0]

    def write() -> RpcResult:
        mine = (EmbeddingVersion.concept_id == about.id) & (EmbeddingVersion.key == about.embedding_key)
        session.execute(update(EmbeddingVersion).where(mine).values(neighbours=dict(found)))
        return RpcResult(result=found)

    jobs.finish_rpc(session, claim, write)


def submit_inspection(
    service: Service, session: Session, *, owner_id: str, model: str, picture_keys: Sequence[str]
) -> Job:
    """Queue a look at pictures, which lie in the storage; whoever works for the model takes it.

    Raises:
        TooManyJobsError: the owner has too many unfinished RPCs.
    """
    return _submit(service, session, _rpc("inspect", owner_id, model, {"pictures": list(picture_keys)}))


def finish_inspection(session: Session, claim: Claim, verdicts: Sequence[Mapping[str, Any]]) -> None:
    """End a look at pictures with what is thought of each, in their order.

    Raises:
        LeaseLostError: the attempt is over.
    """
    jobs.finish_rpc(session, claim, lambda: RpcResult(result={"verdicts": list(verdicts)}))


def neighbours_of(session: Session, version: EmbeddingVersion) -> Mapping[str, Any] | None:
    """The words next to what was learned, per encoder and vector; None where nobody has asked yet."""
    kept = select(EmbeddingVersion.neighbours).where(EmbeddingVersion.id == version.id)
    return session.scalars(kept).one_or_none()


def brought(job: Job, *, in_time: bool, waited_s: float) -> RpcResult:
    """What an RPC that was closed brings back.

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
    return RpcResult(result=job.result, file_key=job.file_key)


def _rpc(task: Task, owner_id: str, model: str, asked: Mapping[str, Any], *, about: Sequence[Concept] = ()) -> NewJob:
    pins = [trainings.pinned(concept) for concept in about]
    return NewJob(owner_id=owner_id, kind="rpc", model=model, input={"task": task, **asked}, total=1, concepts=pins)


def _submit(service: Service, session: Session, rpc: NewJob) -> Job:
    if rpc.model not in service.catalogue:
        raise UnknownModelError(rpc.model, tuple(service.catalogue))
    return jobs.submit(service, session, rpc)
