"""Remote procedure calls to workers: submitted as jobs, awaited by the request without a thread or a transaction."""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from api.deps import RequestContext, in_thread
from api.idempotency import Idempotent
from api.job_events import JobRef
from service import jobs, rpc
from service.database.tables import Job
from service.errors import StorageUnavailableError
from service.jobs import RpcResult
from service.kinds.versioned import Versioned

ResultT = TypeVar("ResultT", bound=Versioned)
_log = logging.getLogger(__name__)


@asynccontextmanager
async def call(
    context: RequestContext, rpc_id: str, result: type[ResultT], idempotent: Idempotent | None = None
) -> AsyncIterator[RpcResult[ResultT]]:
    """The result of a submitted RPC; its file is deleted from the object store when the block ends.

    Args:
        context: the request's.
        rpc_id: of an RPC that is committed.
        result: the class of its task's result.
        idempotent: the request, whose key was completed with the submission: repeated after the death of this process,
            it waits for the same RPC. The key of an RPC without a success is freed.

    Raises:
        WorkerUnavailableError: no worker has answered in time; the RPC was cancelled.
        ConceptDeletedError: a concept in it was deleted meanwhile.
        RpcFailedError: it has failed.
    """
    timeout_s, start = context.service.settings.rpc_timeout_s, time.perf_counter()
    await context.event_poller.wait_until_done(JobRef(context.owner_id, rpc_id), timeout_s)
    job, in_time = await in_thread(partial(_finish, context, rpc_id, idempotent))
    context.metrics.observe_rpc(job.status if in_time else "timeout", time.perf_counter() - start)
    try:
        yield rpc.result_of(job, result, in_time=in_time, waited_s=timeout_s)
    finally:
        if job.file_key is not None:
            await in_thread(partial(delete_file, context, job.file_key))


def result_file(context: RequestContext, reply: RpcResult) -> bytes:
    """The file in an RPC's result.

    Raises:
        StorageUnavailableError: the object store does not answer.
    """
    if reply.file_key is None:
        raise AssertionError("The result of an export has a file.")
    return context.service.storage.get(reply.file_key)


def delete_file(context: RequestContext, key: str) -> None:
    """Delete an RPC's file; while the object store is down it stays, and maintenance deletes it a day later."""
    try:
        context.service.storage.delete([key])
    except StorageUnavailableError as error:
        _log.warning("The file of an RPC could not be deleted; maintenance will: %s", error)


def _finish(context: RequestContext, rpc_id: str, idempotent: Idempotent | None) -> tuple[Job, bool]:
    with context.service.database.writing() as session:
        job, in_time = jobs.cancel_if_unfinished(session, rpc_id)
        if idempotent is not None and job.status != "succeeded":
            idempotent.rollback(session)
        return job, in_time
