"""What a request has a worker do while it waits, without holding a thread or a transaction. Knows no task."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from api.deps import Call, in_thread, now
from api.idempotency import Idempotent
from api.job_events import JobRef
from service import jobs, rpc
from service.database.tables import Job
from service.errors import StorageUnavailableError
from service.jobs import RpcResult

_log = logging.getLogger(__name__)


@asynccontextmanager
async def awaited(call: Call, rpc_id: str, once: Idempotent | None = None) -> AsyncIterator[RpcResult]:
    """What a submitted RPC brings back; its file is gone from the storage when the block ends.

    Args:
        call: whose it is.
        rpc_id: of an RPC that is committed.
        once: the key under which what the RPC made is kept.

    Raises:
        WorkerUnavailableError: no worker has done it in time; it was called off.
        ConceptDeletedError: a concept that it was about was deleted meanwhile.
        RpcFailedError: it cannot be done.
    """
    waited_s = call.service.settings.rpc_timeout_s
    await call.watcher.until_done(JobRef(call.owner_id, rpc_id), waited_s)
    job, in_time = await in_thread(partial(_close, call, rpc_id, once))
    try:
        yield rpc.brought(job, in_time=in_time, waited_s=waited_s)
    finally:
        if job.file_key is not None:
            await in_thread(partial(forget, call, job.file_key))


def fetched(call: Call, brought: RpcResult) -> bytes:
    """The file that an RPC brings back.

    Raises:
        StorageUnavailableError: the store does not answer.
    """
    if brought.file_key is None:
        raise AssertionError("An export brings a file back.")
    return call.service.storage.get(brought.file_key)


def forget(call: Call, key: str) -> None:
    """Delete the file of an RPC; where the store is down the maintenance do it a day later."""
    try:
        call.service.storage.delete([key])
    except StorageUnavailableError as error:
        _log.warning("An RPC's file stays for now: %s", error)


def _close(call: Call, rpc_id: str, once: Idempotent | None) -> tuple[Job, bool]:
    with call.service.database.writing() as session:
        job, in_time = jobs.cancel_if_unfinished(session, rpc_id, now())
        if once is not None and job.status == "succeeded":
            once.made(session, job.id)
        return job, in_time
