"""Training pictures of a concept: add, caption, remove."""

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, File

from api import serializers
from api.deps import ConceptReference, ImageId, RequestContext, TrainAccess, in_thread
from api.forms import FormRoute
from api.idempotency import Idempotent, IdempotentRequest
from api.routes.concepts import PARTS
from api.schemas import responses
from api.schemas.requests import ConceptImageChangeRequest, NewConceptImages
from api.upload_safety import check_pictures
from api.uploads import reject_repeated_fields, selected_files, stored_pictures
from service import audit
from service.concepts import concepts, editing
from service.database.tables import Concept
from service.kinds.warnings import JobWarning
from service.uploads.records import StoredPicture
from service.uploads.training_files import TrainingFiles

router = APIRouter(tags=["concepts"], route_class=FormRoute)


@router.post(
    "/concepts/{reference}/images",
    status_code=HTTPStatus.CREATED,
    dependencies=[Depends(reject_repeated_fields)],
    openapi_extra={"requestBody": {"content": {"multipart/form-data": {"encoding": PARTS}}}},
)
async def add_concept_images(
    context: TrainAccess,
    reference: ConceptReference,
    form: Annotated[NewConceptImages, File()],
    idempotent: IdempotentRequest,
) -> responses.ConceptWithWarnings:
    """Add training pictures to a concept; its next training uses them."""
    uniform: list[JobWarning] = []
    concept_id = await idempotent.run_async(partial(_add, context, reference, form, idempotent, uniform))
    return await in_thread(partial(_response, context, concept_id, form, uniform))


@router.patch("/concepts/{reference}/images/{image_id}")
def change_concept_image(
    context: TrainAccess, reference: ConceptReference, image_id: ImageId, request: ConceptImageChangeRequest
) -> responses.ConceptWithWarnings:
    """Change the caption of a training picture, for later trainings."""
    with context.service.database.writing() as session:
        row = editing.set_caption(
            context.service, session, context.owner_id, reference, image_id, caption=request.caption
        )
        warnings = editing.caption_warnings(context.service, row, [request.caption or None])
        return serializers.concept_with_warnings(context.service, session, row, warnings)


@router.delete("/concepts/{reference}/images/{image_id}", status_code=HTTPStatus.NO_CONTENT)
def remove_concept_image(context: TrainAccess, reference: ConceptReference, image_id: ImageId) -> None:
    """Remove a training picture from a concept; its present embedding stays."""
    # Checked first, so that nothing is deleted while the object store is down.
    context.service.storage.check()
    with context.service.database.writing() as session:
        concept = concepts.get_locked(session, context.owner_id, reference)
        keys = editing.remove_picture(session, context.owner_id, concept.id, image_id)
        audit.record(session, context.actor, "concept.picture_removed", image_id, {"concept": concept.id})
    context.service.storage.delete(keys)


async def _add(
    context: RequestContext, reference: str, form: NewConceptImages, idempotent: Idempotent, uniform: list[JobWarning]
) -> str:
    concept = await in_thread(partial(_changeable, context, reference))
    files = await in_thread(partial(selected_files, context, form.images, form.archive))
    await in_thread(partial(_check_captions, context, concept, files))
    async with stored_pictures(context, files) as stored:
        checked = await check_pictures(context, concept.model, stored.pictures)
        concept_id = await in_thread(partial(_commit, context, concept.id, checked, idempotent))
    uniform += stored.warnings[len(files.warnings) :]
    return concept_id


def _changeable(context: RequestContext, reference: str) -> Concept:
    """The concept, checked before any of the files is read."""
    with context.service.database.reading() as session:
        concept = concepts.get(session, context.owner_id, reference)
        editing.check_not_in_training(session, concept)
        return concept


def _check_captions(context: RequestContext, concept: Concept, files: TrainingFiles) -> None:
    with context.service.database.reading() as session:
        editing.check_captions(context.service, session, concept, files.captions)


def _commit(context: RequestContext, concept_id: str, pictures: Sequence[StoredPicture], idempotent: Idempotent) -> str:
    with context.service.database.writing() as session:
        concept = editing.add_pictures(context.service, session, context.owner_id, concept_id, pictures)
        return idempotent.commit(session, concept.id)


def _response(
    context: RequestContext, concept_id: str, form: NewConceptImages, uniform: Sequence[JobWarning]
) -> responses.ConceptWithWarnings:
    """The concept, with the warnings of the request's files; a repeated request has the same ones."""
    files = selected_files(context, form.images, form.archive)
    captions = [picture.caption for picture in files.pictures]
    with context.service.database.reading() as session:
        row = concepts.get(session, context.owner_id, concept_id)
        warnings = [*files.warnings, *uniform, *editing.caption_warnings(context.service, row, captions)]
        return serializers.concept_with_warnings(context.service, session, row, warnings)
