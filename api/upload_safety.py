"""Uploaded pictures before the safety check: a worker looks at them while the request waits."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from anyio import from_thread

from api.deps import Call, now
from api.rpc import awaited
from service import rpc
from service.concepts.concepts import StoredPicture
from service.errors import ImageRefusedError
from service.safety import refuses


def inspected(call: Call, model: str, pictures: Sequence[StoredPicture]) -> Sequence[StoredPicture]:
    """The pictures with what is thought of each, where somebody is to look. Called beside the event loop.

    Args:
        call: whose they are.
        model: whoever works for it looks.
        pictures: as they lie in the storage.

    Raises:
        ImageRefusedError: some are refused.
        WorkerUnavailableError: no worker has looked in time.
        RpcFailedError: nobody can look.
    """
    policy = call.service.settings.safety.policy
    if policy == "allow":
        return pictures
    verdicts = from_thread.run(_verdicts, call, _submit(call, model, [picture.key for picture in pictures]))
    judged = [replace(picture, safety=verdict) for picture, verdict in zip(pictures, verdicts, strict=True)]
    refused = [picture.filename for picture in judged if picture.safety and refuses(policy, picture.safety)]
    if refused:
        raise ImageRefusedError(refused)
    return judged


def _submit(call: Call, model: str, keys: Sequence[str]) -> str:
    with call.service.database.writing() as session:
        owner_id = call.owner_id
        job = rpc.submit_inspection(call.service, session, owner_id=owner_id, model=model, picture_keys=keys, now=now())
        return job.id


async def _verdicts(call: Call, rpc_id: str) -> list[Mapping[str, Any]]:
    async with awaited(call, rpc_id) as brought:
        return list(brought.result["verdicts"])
