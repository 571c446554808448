"""Training and rendering on files, without any server: what the command line offers to researchers.

The engines are those of the service, and so are the checks of pictures. It prints nothing; whoever calls advances it
step by step and sees how far it is.
"""

import hashlib
import io
import re
import secrets
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from dti.embeddings.embedding import Embedding
from dti.errors import InvalidSettingError, NoPicturesError
from dti.families import Family
from dti.render import Renderer
from dti.spec.prompts import NAME_PATTERN
from dti.spec.registry import FAMILIES, METHODS, training_settings
from dti.spec.settings import SEED_LIMIT, LearnableProperty, Rendering, complete
from dti.training.trainer import Run, Trainer, TrainingWork
from service.catalogue.models import Catalogue, ModelEntry, preset
from service.catalogue.presets import PRESETS
from service.settings import Settings
from service.uploads.files import Upload
from service.uploads.reading import read_pictures
from service.uploads.records import SanitizedPicture
from worker.loaded_model import MAX_PICTURES
from worker.model_cache import load
from worker.outputs.plans import PicturePlan
from worker.outputs.provenance import Provenance

_READ = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".heic", ".heif", ".avif", ".tif", ".tiff", ".txt"})
"""Pictures and their captions; other files of a folder are none of ours."""


@dataclass(frozen=True)
class Model:
    """A model on this machine's device, and what is used of it where nothing is said."""

    entry: ModelEntry
    family: Family


def open_model(name: str, family: str, settings: Settings) -> Model:
    """A model of the catalogue, or a checkpoint of one's own.

    Args:
        name: a model of the catalogue, a preset, a folder in the diffusers layout, or a Hub id.
        family: what a checkpoint is that the catalogue does not know.
        settings: name the catalogue.

    Raises:
        InvalidSettingError: there is no such family.
        ModelUnavailableError: it cannot be loaded.
    """
    catalogue = Catalogue.load(settings.models)
    if name in catalogue or name in PRESETS:
        known = catalogue[name] if name in catalogue else preset(name)
        return Model(known, load(known))
    if family not in FAMILIES:
        raise InvalidSettingError("family", f"{family!r} is unknown. Choose one of: {', '.join(FAMILIES)}.")
    schedulers = FAMILIES[family].schedulers
    entry = ModelEntry(
        name=name, family=family, source=name, width=0, height=0, scheduler=schedulers[0], schedulers=schedulers
    )
    loaded = load(entry)
    side = loaded.default_size_px
    return Model(replace(entry, width=side, height=side), loaded)


def read_folder(folder: Path, settings: Settings) -> list[SanitizedPicture]:
    """The pictures of a folder as the service would keep them; `NAME.txt` beside a picture is its caption.

    Raises:
        NoPicturesError: there are none.
        ServiceError: one of them cannot be used; the message names it.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _READ and not path.name.startswith("."))
    if not files:
        raise NoPicturesError(f"There are no pictures in {folder}.")
    archive = io.BytesIO()
    # Files without a date count as from 1970, which zip cannot say.
    with zipfile.ZipFile(archive, "w", strict_timestamps=False) as writing:
        for path in files:
            writing.write(path, path.name)
    archive.seek(0)
    return read_pictures([], [Upload(f"{folder.name}.zip", archive)], settings.limits)


def start_training(
    model: Model,
    pictures: Sequence[SanitizedPicture],
    *,
    name: str,
    class_word: str,
    learnable_property: LearnableProperty,
    method: str,
    given: Mapping[str, Any],
) -> tuple[Trainer, Run]:
    """A trainer with one run in it, to be advanced until the run has finished.

    Args:
        model: what to learn it for.
        pictures: of the concept.
        name: what prompts will call it.
        class_word: what kind of thing it is.
        learnable_property: an object or a style.
        method: how it is learned.
        given: settings of the method; the model's own defaults count where nothing is given.

    Raises:
        InvalidSettingError: the name, a setting or the method is unknown or out of bounds.
        DTIError: as for `Trainer.admit`.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise InvalidSettingError("name", f"{name!r} cannot be a name: use a-z, 0-9 and -, such as my-dog.")
    if method not in METHODS:
        raise InvalidSettingError("method", f"{method!r} is unknown. Choose one of: {', '.join(METHODS)}.")
    settings = training_settings(method, given, model.entry.training_by(method))
    trainer = Trainer(model.family)
    work = TrainingWork(
        pictures=[Image.open(io.BytesIO(picture.data)) for picture in pictures],
        captions=[picture.caption for picture in pictures],
        class_word=class_word,
        trigger=name,
        method=method,
        learnable_property=learnable_property,
        settings=replace(
            settings,
            seed=drawn(settings.seed),
            resolution=settings.resolution or min(model.entry.width, model.entry.height),
        ),
    )
    return trainer, trainer.admit(work)


def rendering(model: Model, given: Mapping[str, Any]) -> dict[str, Any]:
    """How pictures are made: what is given, the model's own values for the rest, a seed.

    Raises:
        InvalidSettingError: a setting is unknown or out of bounds.
    """
    entry = model.entry
    own = {name: getattr(entry, name) for name in ("width", "height", "steps", "guidance_scale", "scheduler")}
    settings = asdict(complete(Rendering, given, own))
    return {**settings, "seed": drawn(settings["seed"])}


def render(model: Model, frames: Sequence[PicturePlan], advanced: Callable[[int], None]) -> Iterator[Image.Image]:
    """The pictures of frames, in their order.

    Args:
        model: what renders them.
        frames: as many as one likes; some at a time are in the making.
        advanced: told how many denoising steps were just made.

    Raises:
        DTIError: as for `Renderer.admit`, or why a picture could not be finished.
    """
    renderer = Renderer(model.family)
    for start in range(0, len(frames), MAX_PICTURES):
        slots = [renderer.admit(frame.work) for frame in frames[start : start + MAX_PICTURES]]
        while renderer.slots:
            company = len(renderer.slots)
            renderer.advance()
            advanced(company)
        for slot in slots:
            if slot.picture is None:
                raise slot.error or AssertionError("A finished slot has a picture or an error.")
            yield slot.picture


def provenance(model: Model, frame: PicturePlan, prompt: str, concepts: Mapping[str, Embedding]) -> Provenance:
    """What the file of a picture says of it; `prompt` as it was asked."""
    digests = {name: hashlib.sha256(embedding.to_bytes()).hexdigest() for name, embedding in concepts.items()}
    return frame.provenance(
        prompt=prompt, model=model.entry.name, fingerprint=model.family.fingerprint, concepts=digests
    )


def drawn(seed: int | None) -> int:
    """A seed, drawn where none was given."""
    return secrets.randbelow(SEED_LIMIT + 1) if seed is None else seed
