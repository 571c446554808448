"""Offline training and rendering on local files, without a server, for the command line and for researchers.

Engines and upload checks are those of the service. Nothing is printed; the caller advances the work step by step.
"""

import hashlib
import io
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from PIL import Image

from dti.embeddings.embedding import Embedding
from dti.errors import InvalidSettingError
from dti.families import Family
from dti.families.detection import detect
from dti.planning.plans import MAX_PICTURES
from dti.render import Renderer
from dti.spec.prompts import NAME_PATTERN
from dti.spec.registry import FAMILIES, METHODS, check_rendering, training_settings
from dti.spec.settings import SEED_LIMIT, CompleteRendering, LearnableProperty, Rendering, complete
from dti.training.trainer import Run, Trainer, TrainingWork
from service.catalogue.models import Catalogue, ModelEntry, preset
from service.catalogue.presets import PRESETS
from service.settings import Settings
from service.uploads.budget import PixelBudget
from service.uploads.entries import of_folder
from service.uploads.pictures import sanitize
from service.uploads.reading import iter_pictures
from service.uploads.records import SanitizedPicture
from service.uploads.training_files import TrainingFiles, select
from worker.loaded_model import MemorySettings
from worker.memory import plan_for
from worker.model_cache import load
from worker.outputs.plans import PicturePlan
from worker.outputs.provenance import Provenance


@dataclass(frozen=True)
class OfflineModel:
    """A model on this machine's device, with its defaults and the settings that fit into the memory."""

    entry: ModelEntry
    family: Family
    memory: MemorySettings

    @classmethod
    def load(cls, entry: ModelEntry) -> "OfflineModel":
        """A model, loaded by its plan."""
        plan = plan_for(entry)
        family = load(entry, offload=plan is not None and plan.offload)
        memory = MemorySettings.of(plan, entry)
        family.set_checkpointing(enabled=memory.checkpointing)
        family.set_tiling(enabled=memory.tiled)
        return cls(entry, family, memory)

    @property
    def max_pictures(self) -> int:
        """Pictures of the default size that are rendered at once."""
        return max(1, min(MAX_PICTURES, self.memory.max_pixels // (self.entry.width * self.entry.height)))


def open_model(name: str, family: str | None, settings: Settings) -> OfflineModel:
    """A model of the catalogue, or another checkpoint.

    Args:
        name: a model of the catalogue, a preset, a folder in the diffusers layout, or a Hub id.
        family: of a checkpoint that is not in the catalogue; None to find it by its files.
        settings: with the path of the catalogue.

    Raises:
        InvalidSettingError: the family is unknown.
        ModelUnavailableError: it cannot be loaded.
    """
    known = _entry(name, settings)
    if known is not None:
        return OfflineModel.load(known)
    family = family or detect(name)
    if family not in FAMILIES:
        raise InvalidSettingError("family", f"{family!r} is unknown. Choose one of: {', '.join(FAMILIES)}.")
    schedulers = FAMILIES[family].schedulers
    entry = ModelEntry(
        name=name, family=family, source=name, width=0, height=0, scheduler=schedulers[0], schedulers=schedulers
    )
    loaded = load(entry)
    entry = replace(entry, width=loaded.default_size_px, height=loaded.default_size_px)
    return OfflineModel(entry, loaded, MemorySettings.of(None, entry))


def _entry(name: str, settings: Settings) -> ModelEntry | None:
    """A model of the catalogue or a preset; None for another checkpoint."""
    catalogue = Catalogue.load(settings.models)
    if name in catalogue:
        return catalogue[name]
    return preset(name) if name in PRESETS else None


def folder_files(folder: Path, settings: Settings) -> TrainingFiles:
    """The pictures of a folder with their captions and masks, undecoded, and warnings of the files passed over.

    Raises:
        ServiceError: there are no pictures, or a file cannot be used; the message names it.
    """
    return select(of_folder(folder), settings.limits)


def read_files(files: TrainingFiles, settings: Settings) -> list[SanitizedPicture]:
    """The sanitized pictures.

    Raises:
        ServiceError: one of them cannot be used; the message names it.
    """
    return list(iter_pictures(files.pictures, settings.limits, sanitize, PixelBudget(sys.maxsize)))


def read_folder(folder: Path, settings: Settings) -> list[SanitizedPicture]:
    """The sanitized pictures of a folder; raises as `folder_files` and `read_files` do."""
    return read_files(folder_files(folder, settings), settings)


def check_training(model: str, settings: Settings, *, name: str, method: str, given: Mapping[str, object]) -> None:
    """Refuse what needs no model to be refused, before one is loaded.

    Args:
        model: a model of the catalogue, a preset, or another checkpoint, which has no defaults.
        settings: with the path of the catalogue.
        name: of the concept in prompts.
        method: of training.
        given: settings of the method.

    Raises:
        InvalidSettingError: the name, a setting or the method is unknown or out of bounds.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise InvalidSettingError("name", f"{name!r} cannot be a name: use a-z, 0-9 and -, such as my-dog.")
    if method not in METHODS:
        raise InvalidSettingError("method", f"{method!r} is unknown. Choose one of: {', '.join(METHODS)}.")
    entry = _entry(model, settings)
    training_settings(method, given, {} if entry is None else entry.training_by(method))


def start_training(
    model: OfflineModel,
    pictures: Sequence[SanitizedPicture],
    *,
    name: str,
    class_word: str,
    learnable_property: LearnableProperty,
    method: str,
    given: Mapping[str, object],
    checkpoint: bytes | None = None,
) -> tuple[Trainer, Run]:
    """A trainer with one run, to be advanced until the run has finished.

    Args:
        model: to train for.
        pictures: of the concept.
        name: of the concept in prompts.
        class_word: the word for its class.
        learnable_property: an object or a style.
        method: of training.
        given: settings of the method, checked by `check_training`; the others have the model's defaults.
        checkpoint: checkpoint of the same work to resume.

    Raises:
        DTIError: as for `Trainer.admit`.
    """
    settings = training_settings(method, given, model.entry.training_by(method))
    trainer = Trainer(model.family, model.memory.micro_batch)
    work = TrainingWork(
        pictures=[Image.open(io.BytesIO(picture.data)) for picture in pictures],
        captions=[picture.caption for picture in pictures],
        original_sizes=[
            (picture.original_width or picture.width, picture.original_height or picture.height) for picture in pictures
        ],
        class_word=class_word,
        trigger=name,
        method=method,
        learnable_property=learnable_property,
        settings=replace(
            settings,
            seed=seed_or_random(settings.seed),
            resolution=settings.resolution or min(model.entry.width, model.entry.height),
        ),
    )
    return trainer, trainer.admit(work, checkpoint)


def rendering(model: OfflineModel, given: Mapping[str, object]) -> CompleteRendering:
    """The rendering settings: the given ones, the model's defaults for the others, and a seed.

    Raises:
        InvalidSettingError: a setting is unknown or out of bounds.
    """
    entry = model.entry
    defaults = {name: getattr(entry, name) for name in ("width", "height", "steps", "guidance_scale", "scheduler")}
    settings = complete(Rendering, given, defaults)
    chosen = CompleteRendering(**{**asdict(settings), "seed": seed_or_random(settings.seed)})
    check_rendering(entry.family, chosen)
    return chosen


def render(model: OfflineModel, plans: Sequence[PicturePlan], on_steps: Callable[[int], None]) -> Iterator[Image.Image]:
    """The pictures of plans, in order.

    Args:
        model: renders them.
        plans: any number; a batch at a time is rendered.
        on_steps: called with the number of denoising steps just made.

    Raises:
        DTIError: as for `Renderer.admit`, or the error of a picture.
    """
    renderer = Renderer(model.family)
    for start in range(0, len(plans), model.max_pictures):
        slots = [renderer.admit(plan.work) for plan in plans[start : start + model.max_pictures]]
        while renderer.slots:
            batch_size = len(renderer.slots)
            renderer.advance()
            on_steps(batch_size)
        for slot in slots:
            if slot.picture is None:
                raise slot.error or AssertionError("A finished slot has a picture or an error.")
            yield slot.picture


def provenance(model: OfflineModel, plan: PicturePlan, prompt: str, concepts: Mapping[str, Embedding]) -> Provenance:
    """The provenance for a picture's file; `prompt` as requested."""
    digests = {name: hashlib.sha256(embedding.to_bytes()).hexdigest() for name, embedding in concepts.items()}
    return plan.provenance(
        prompt=prompt, model=model.entry.name, fingerprint=model.family.fingerprint, concepts=digests
    )


def seed_or_random(seed: int | None) -> int:
    """The seed, or a random one."""
    return secrets.randbelow(SEED_LIMIT + 1) if seed is None else seed
