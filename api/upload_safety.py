"""The safety check of uploaded pictures: a worker scores them while the request waits."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from api.deps import RequestContext, in_thread
from api.rpc import call
from service import rpc
from service.errors import ImageRefusedError
from service.kinds.rpc import InspectResult
from service.safety import SafetyVerdict, refuses
from service.uploads.records import StoredPicture


async def check_pictures(
    context: RequestContext, model: str, pictures: Sequence[StoredPicture]
) -> Sequence[StoredPicture]:
    """Uploaded pictures with their safety assessments, where the policy asks for any.

    Args:
        context: the request's.
        model: the check runs on a worker of this model.
        pictures: as stored.

    Raises:
        ImageRefusedError: some are refused.
        WorkerUnavailableError: no worker has checked them in time.
        RpcFailedError: no checker is installed.
    """
    policy = context.service.settings.safety.policy
    if policy == "allow":
        return pictures
    rpc_id = await in_thread(partial(_submit, context, model, [picture.key for picture in pictures]))
    assessments = await _assessments(context, rpc_id)
    checked = [replace(picture, safety=assessment) for picture, assessment in zip(pictures, assessments, strict=True)]
    refused = [picture.filename for picture in checked if picture.safety and refuses(policy, picture.safety)]
    if refused:
        raise ImageRefusedError(refused)
    return checked


def _submit(context: RequestContext, model: str, keys: Sequence[str]) -> str:
    owner_id = context.owner_id
    with context.service.database.writing() as session:
        return rpc.submit_inspection(context.service, session, owner_id=owner_id, model=model, picture_keys=keys).id


async def _assessments(context: RequestContext, rpc_id: str) -> Sequence[SafetyVerdict]:
    async with call(context, rpc_id, InspectResult) as reply:
        return reply.result.verdicts
