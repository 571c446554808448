"""Models: the catalogue, with the details that workers have reported; the tokens of prompts."""

from dataclasses import asdict

from fastapi import APIRouter

from api.deps import ModelName, ReadAccess
from api.schemas import responses
from api.schemas.requests import TokenCountRequest
from dti.spec.registry import METHODS, training_settings
from service import health, workers
from service.catalogue.models import ModelEntry
from service.concepts import generations
from service.errors import NotFoundError
from service.workers import Card

router = APIRouter(tags=["models"])


@router.get("/models")
def list_models(context: ReadAccess) -> responses.ModelPage:
    """List all models of the catalogue."""
    with context.service.database.reading() as session:
        cards, loaded = workers.cards(session), workers.loaded_models(session)
        serving = health.serving(session, context.service.catalogue)
    default = context.service.catalogue.default.name
    items = [
        _model(entry, cards.get(name), is_default=name == default, is_loaded=name in loaded, workers=serving[name])
        for name, entry in context.service.catalogue.items()
    ]
    data = [responses.OpenAIModel(id=item.name, object="model", created=0, owned_by="dti") for item in items]
    return responses.ModelPage(items=items, next=None, object="list", data=data)


@router.get("/models/{model_name}")
def read_model(context: ReadAccess, model_name: ModelName) -> responses.ModelDetails:
    """Read a model of the catalogue, with the words that it knows if they are few."""
    catalogue = context.service.catalogue
    if model_name not in catalogue:
        raise NotFoundError("model", model_name)
    with context.service.database.reading() as session:
        card, loaded = workers.cards(session).get(model_name), workers.loaded_models(session)
        serving = health.serving(session, catalogue)
        words = context.service.token_limits.words(session, model_name)
    is_default = model_name == catalogue.default.name
    model = _model(
        catalogue[model_name], card, is_default=is_default, is_loaded=model_name in loaded, workers=serving[model_name]
    )
    return responses.ModelDetails(**dict(model), words=words)


@router.post("/tokens")
def count_tokens(context: ReadAccess, request: TokenCountRequest) -> responses.TokenCount:
    """Count the tokens of a prompt for each text encoder of its model."""
    with context.service.database.reading() as session:
        found = generations.count_tokens(context.service, session, context.owner_id, request.prompt, request.model)
    encoders = found.encoders
    return responses.TokenCount(
        model=found.model,
        concepts=found.concepts,
        encoders=None if encoders is None else {name: _tokens(*counted) for name, counted in encoders.items()},
        fits=None if encoders is None else all(tokens <= limit for tokens, limit in encoders.values()),
    )


def _tokens(tokens: int, limit: int) -> responses.EncoderTokens:
    return responses.EncoderTokens(tokens=tokens, limit=limit)


def _model(entry: ModelEntry, card: Card | None, *, is_default: bool, is_loaded: bool, workers: int) -> responses.Model:
    encoders = _encoders(card)
    return responses.Model(
        name=entry.name,
        family=entry.family,
        default=is_default,
        size_multiple_px=entry.size_multiple_px,
        max_px=entry.max_px,
        schedulers=list(entry.schedulers),
        methods=list(METHODS),
        defaults=responses.ModelDefaults(
            width=entry.width,
            height=entry.height,
            steps=entry.steps,
            guidance_scale=entry.guidance_scale,
            scheduler=entry.scheduler,
            training={name: asdict(training_settings(name, {}, entry.training_by(name))) for name in METHODS},
        ),
        encoders=encoders,
        token_limit=min(encoder.token_limit for encoder in encoders.values()) if encoders else None,
        loaded=is_loaded,
        workers=workers,
    )


def _encoders(card: Card | None) -> dict[str, responses.EncoderCard] | None:
    if card is None:
        return None
    return {
        name: responses.EncoderCard(
            width=encoder["width"], token_limit=encoder["token_limit"], magnitude=encoder["magnitude"]
        )
        for name, encoder in card["encoders"].items()
    }
