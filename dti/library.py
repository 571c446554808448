"""The algorithm as a library, for scripts and notebooks: load, train, render, interpolate.

Pictures appear in a notebook; progress is shown as a bar or told to a callback. No file is written unless asked for.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm.auto import tqdm

from dti import families
from dti.embeddings import mixing
from dti.embeddings.embedding import Embedding
from dti.errors import InvalidSettingError, NoPicturesError
from dti.families import Family
from dti.families.detection import detect
from dti.models.tiny import CHECKPOINT
from dti.neighbours import Neighbour, neighbours
from dti.pictures import data_address
from dti.render import PictureWork, Renderer
from dti.spec.prompts import NAME_PATTERN
from dti.spec.registry import FAMILIES, METHODS, training_settings
from dti.spec.settings import SEED_LIMIT, LearnableProperty, Mixing, Training
from dti.training.trainer import Run, Trainer, TrainingWork, Update

STEPS, GUIDANCE_SCALE = 25, 5.0
"""Defaults of a picture; a model card may recommend others."""

TINY_GUIDANCE_SCALE = 3.0
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff"})
TOGETHER = 8
"""Pictures per forward pass."""

Sources = str | Path | Sequence[str | Path | Image.Image]
Callback = Callable[[Update], None]


class Pictures(list[Image.Image]):
    """Pictures that appear side by side in a notebook."""

    def _repr_html_(self) -> str:
        images = "".join(f'<img alt="" src="{data_address(picture)}" style="margin:2px">' for picture in self)
        return f"<div>{images}</div>"


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A training after an update: its loss before it, and the rotation of the rows since the start, in radians."""

    step: int
    loss: float
    angle_rad: float


@dataclass(frozen=True, eq=False)
class Model:
    """A model on a device.

    Attributes:
        family: the loaded model.
        width: default width of pictures, in pixels.
        height: default height of pictures, in pixels.
        guidance_scale: default guidance scale.
    """

    family: Family
    width: int
    height: int
    guidance_scale: float

    def __repr__(self) -> str:
        return f"<{self.family.name} model, {self.width} x {self.height} px, on {self.family.device}>"


@dataclass(frozen=True, eq=False)
class Concept:
    """A learned concept with its model.

    Attributes:
        embedding: the learned rows.
        model: the model that they were learned on.
        curve: losses and rotation over the training; empty for a concept that was opened or interpolated.
    """

    embedding: Embedding
    model: Model
    curve: tuple[CurvePoint, ...] = ()

    @property
    def name(self) -> str:
        """The name in prompts, without angle brackets."""
        return self.embedding.trigger

    def render(self, prompt: str | None = None, **settings: Any) -> Pictures:  # noqa: ANN401 - those of `render`
        """Pictures of a prompt with the concept as `<name>`; "a photo of <name>" if none is given. See `dti.render`."""
        return render(self.model, prompt or f"a photo of <{self.name}>", [self], **settings)

    def neighbours(self, k: int = 8) -> Mapping[str, list[list[Neighbour]]]:
        """Words nearest to every row, by encoder; see `dti.neighbours.neighbours`."""
        return neighbours(self.embedding, self.model.family, k)

    def save(self, path: str | Path) -> Path:
        """Write the embedding as a `dti` file; `dti convert` makes files for other tools from it.

        Returns:
            The path.
        """
        self.embedding.save(Path(path))
        return Path(path)

    def __repr__(self) -> str:
        return f"<concept <{self.name}>: {self.embedding.class_word}, {self.embedding.steps} updates>"


def load(source: str | Path = "tiny", *, family: str | None = None, device: str = "auto") -> Model:
    """Load a model.

    Args:
        source: "tiny" for the bundled model, a folder in the diffusers layout, or a Hub id.
        family: a name of `dti.spec.registry.FAMILIES`; found by the checkpoint's files if None.
        device: a torch device name; "auto" selects the GPU if present.

    Raises:
        InvalidSettingError: the family is unknown.
        ModelUnavailableError: files are missing, or the checkpoint is of another family.
    """
    bundled = str(source) == "tiny"
    checkpoint = CHECKPOINT if bundled else source
    name = family or detect(checkpoint)
    if name not in FAMILIES:
        raise InvalidSettingError("family", f"{name!r} is unknown. Choose one of: {', '.join(FAMILIES)}.")
    loaded = families.load(name, checkpoint, device)
    side = loaded.default_size_px
    return Model(loaded, side, side, TINY_GUIDANCE_SCALE if bundled else GUIDANCE_SCALE)


def train(
    model: Model,
    pictures: Sources,
    *,
    class_word: str,
    name: str,
    method: str = "dti",
    learnable_property: LearnableProperty = "object",
    captions: Sequence[str | None] | None = None,
    progress: bool = True,
    on_update: Callback | None = None,
    **settings: Any,  # noqa: ANN401 - a setting's type is its own
) -> Concept:
    """Train a concept.

    Args:
        model: to train on.
        pictures: a folder, or paths and images.
        class_word: word for the concept's class, such as dog.
        name: of the concept in prompts, `<name>`.
        method: a name of `dti.spec.registry.METHODS`.
        learnable_property: object or style.
        captions: one per picture, with {} for the concept, or None.
        progress: whether a bar is shown.
        on_update: called after each update; an exception that it raises ends the training.
        settings: of the method, such as `steps=400`; see docs/method.md.

    Raises:
        InvalidSettingError: a setting or the method is unknown or out of bounds.
        NoPicturesError: there are no pictures.
        TrainingDivergedError: a loss was not finite.
    """
    _check_words(name, method)
    complete = _complete(model, training_settings(method, settings, {}))
    opened = _open_pictures(pictures)
    work = TrainingWork(
        pictures=opened,
        captions=captions or [None] * len(opened),
        class_word=class_word,
        trigger=name,
        method=method,
        learnable_property=learnable_property,
        settings=complete,
    )
    trainer = Trainer(model.family)
    run = trainer.admit(work)
    curve = _advance(trainer, run, progress=progress, on_update=on_update)
    return Concept(run.embedding(), model, curve)


def _check_words(name: str, method: str) -> None:
    if not re.fullmatch(NAME_PATTERN, name):
        raise InvalidSettingError("name", f"{name!r} cannot be a name: use a-z, 0-9 and -, such as my-dog.")
    if method not in METHODS:
        raise InvalidSettingError("method", f"{method!r} is unknown. Choose one of: {', '.join(METHODS)}.")


def _complete(model: Model, settings: Training) -> Training:
    """Settings with a seed and a resolution."""
    seed = secrets.randbelow(SEED_LIMIT + 1) if settings.seed is None else settings.seed
    return replace(settings, seed=seed, resolution=settings.resolution or min(model.width, model.height))


def _advance(trainer: Trainer, run: Run, *, progress: bool, on_update: Callback | None) -> tuple[CurvePoint, ...]:
    """Make all updates of a trainer's only run."""
    curve = []
    with tqdm(total=run.total, desc=f"<{run.work.trigger}>", disable=not progress) as bar:
        while trainer.runs:
            (update,) = trainer.advance()
            if update.error is not None:
                raise update.error
            curve.append(CurvePoint(run.step, update.loss, run.angle_rad))
            bar.set_postfix(loss=f"{update.loss:.3f}", refresh=False)
            bar.update()
            if on_update is not None:
                on_update(update)
    return tuple(curve)


def _open_pictures(sources: Sources) -> list[Image.Image]:
    if isinstance(sources, str | Path):
        folder = Path(sources)
        if not folder.is_dir():
            raise NoPicturesError(f"{folder} is no folder. Give a folder of pictures, or a list of paths or images.")
        sources = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    opened = [source if isinstance(source, Image.Image) else _open(source) for source in sources]
    if not opened:
        raise NoPicturesError("There are no pictures to learn from. Give at least one.")
    return opened


def _open(path: str | Path) -> Image.Image:
    with Image.open(path) as picture:
        picture.load()
        return picture


def open_concept(path: str | Path, model: Model) -> Concept:
    """Open an embedding file of this library on a model.

    Raises:
        EmbeddingFormatError: the file is damaged or of another tool; `dti convert` reads those.
        EmbeddingMismatchError: it was learned on another model.
    """
    embedding = Embedding.load(Path(path))
    model.family.check_fits(embedding)
    return Concept(embedding, model)


def render(
    model: Model,
    prompt: str,
    concepts: Iterable[Concept] = (),
    *,
    num_images: int = 1,
    negative_prompt: str = "",
    seed: int | None = None,
    steps: int = STEPS,
    guidance_scale: float | None = None,
    scheduler: str | None = None,
    width: int | None = None,
    height: int | None = None,
) -> Pictures:
    """Render pictures of a prompt.

    Args:
        model: renders them.
        prompt: with concepts as `<name>`.
        concepts: those that the prompts name.
        num_images: number of pictures; the i-th has seed + i.
        negative_prompt: to steer away from.
        seed: of the first latents; random if None.
        steps: denoising steps.
        guidance_scale: as for the others below, the model's default if None.
        scheduler: sampler.
        width: in pixels.
        height: in pixels.

    Raises:
        DTIError: as for `dti.render.Renderer.admit`.
    """
    first = secrets.randbelow(SEED_LIMIT + 1 - num_images) if seed is None else seed
    work = PictureWork(
        prompt=prompt,
        negative_prompt=negative_prompt,
        concepts={concept.name: concept.embedding for concept in concepts},
        width=width or model.width,
        height=height or model.height,
        steps=steps,
        guidance_scale=model.guidance_scale if guidance_scale is None else guidance_scale,
        scheduler=scheduler or model.family.schedulers[0],
        seed=first,
    )
    return _render(model, [replace(work, seed=first + number) for number in range(num_images)])


def _render(model: Model, works: Sequence[PictureWork]) -> Pictures:
    renderer = Renderer(model.family)
    pictures = Pictures()
    for start in range(0, len(works), TOGETHER):
        slots = [renderer.admit(work) for work in works[start : start + TOGETHER]]
        while renderer.slots:
            renderer.advance()
        for slot in slots:
            if slot.picture is None:
                raise slot.error or AssertionError("A finished slot has a picture or an error.")
            pictures.append(slot.picture)
    return pictures


def interpolate(
    start: Concept,
    end: Concept,
    prompt: str = "a photo of {}",
    *,
    frames: int = 8,
    method: Mixing = "slerp",
    seed: int | None = None,
    **settings: Any,  # noqa: ANN401 - those of `render`
) -> Pictures:
    """Pictures between two concepts, all with the same seed.

    Args:
        start: at share 0.
        end: at share 1.
        prompt: with {} in place of the concept.
        frames: at least two.
        method: slerp along the great circle, or lerp along the chord.
        seed: random if None.
        settings: further settings of `render`.

    Raises:
        InvalidSettingError: the prompt has no {}, or there are fewer than two frames.
        EmbeddingMismatchError: the concepts differ in model or number of vectors.
    """
    if prompt.count("{}") != 1:
        raise InvalidSettingError("prompt", "it needs exactly one {}, in place of the concept.")
    if frames < 2:  # noqa: PLR2004 - both ends
        raise InvalidSettingError("frames", f"{frames} is fewer than 2.")
    common = secrets.randbelow(SEED_LIMIT) if seed is None else seed
    pictures = Pictures()
    for number in range(frames):
        mixed = mixing.interpolate(start.embedding, end.embedding, number / (frames - 1), method)
        between = Concept(mixed, start.model)
        pictures += render(start.model, prompt.replace("{}", f"<{between.name}>"), [between], seed=common, **settings)
    return pictures
