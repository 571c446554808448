"""Measures a finished checkpoint: the scorer's accuracy, the text model's treatment of its rows, and sample pictures.

It knows a checkpoint in the diffusers layout and the scorer, not how either was trained.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image, ImageDraw

from tools.tiny.autoencoder import to_unit
from tools.tiny.captions import PLACES, compose
from tools.tiny.scorer.network import ATTRIBUTES, Scorer, classes
from tools.tiny.world import Scene, choose_scene

STEPS = 20
GUIDANCE = 3.0
BATCH = 50
SHEET_COLUMNS = 8
SHEET_PROMPTS = (
    "a photo of a dog",
    "a photo of a cat in the snow",
    "an owl wearing a top hat on the beach",
    "a blue panda in the forest",
    "a photo of a ghost at night",
    "a penguin wearing sunglasses on grass",
    "a robot with a crown in the city",
    "a red car in the desert",
    "a photo of a mug on a wooden table",
    "a green apple on a white background",
    "a sketch of a mushroom",
    "a rocket at sunset",
    "an oil painting of a dog in the mountains",
    "pixel art of a cat",
    "a black and white photo of an owl",
    "a purple ghost with a balloon in the city",
    "a pink penguin wearing a bow in the water",
    "a panda wearing a crown in front of a brick wall",
    "an orange mushroom wearing sunglasses in the snow",
    "a yellow rocket on a gray background",
    "a black cat wearing a bow on grass",
    "a pencil sketch of a robot",
    "an oil painting of a car on the beach",
    "a mug wearing a top hat at night",
)


def paint(pipeline: StableDiffusionPipeline, prompts: Sequence[str], seed: int) -> Iterator[Image.Image]:
    """Paint one picture for each prompt, in batches, with the seed given."""
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, len(prompts), BATCH):
        batch = list(prompts[start : start + BATCH])
        yield from pipeline(batch, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generator).images


def exam(count: int, seed: int) -> tuple[list[Scene], list[str]]:
    """Draw scenes and the prompts that ask for them, always the same for one seed."""
    rng = np.random.default_rng(seed)
    scenes = [choose_scene(rng) for _ in range(count)]
    return scenes, [compose(scene, rng) for scene in scenes]


def _requested(attribute: str, scene: Scene, prompt: str) -> bool:
    if attribute == "background":
        return any(place in prompt for place in PLACES[scene.background])
    return getattr(scene, attribute) is not None


@torch.no_grad()
def score(pipeline: StableDiffusionPipeline, scorer: Scorer, count: int, seed: int) -> dict[str, float]:
    """Accuracy of the scorer's labels on pictures of random prompts.

    Args:
        pipeline: the checkpoint.
        scorer: labels pictures.
        count: prompts.
        seed: of prompts and pictures.

    Returns:
        For each attribute the share that was named right among the prompts that name one.
    """
    scenes, prompts = exam(count, seed)
    pictures = np.stack([np.asarray(picture) for picture in paint(pipeline, prompts, seed)])
    scores = scorer(to_unit(pictures))
    wanted = torch.tensor([classes(scene) for scene in scenes])
    shares = {}
    for column, name in enumerate(ATTRIBUTES):
        requested = [_requested(name, scene, prompt) for scene, prompt in zip(scenes, prompts, strict=True)]
        right = scores[name].argmax(1) == wanted[:, column]
        shares[name] = float(right[torch.tensor(requested)].float().mean())
    return shares


def contact_sheet(pipeline: StableDiffusionPipeline, side_px: int = 96) -> Image.Image:
    """Paint the fixed prompts and lay them out in rows of eight, left to right."""
    rows = -(-len(SHEET_PROMPTS) // SHEET_COLUMNS)
    sheet = Image.new("RGB", (SHEET_COLUMNS * (side_px + 2), rows * (side_px + 2)), "white")
    for index, picture in enumerate(paint(pipeline, SHEET_PROMPTS, seed=0)):
        corner = (index % SHEET_COLUMNS * (side_px + 2) + 1, index // SHEET_COLUMNS * (side_px + 2) + 1)
        sheet.paste(picture.resize((side_px, side_px), Image.Resampling.BICUBIC), corner)
    return sheet


def _journal(checkpoint: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in checkpoint.with_suffix(".jsonl").read_text("utf-8").splitlines()]


def loss_curve(stable: Path, branch: Path) -> Image.Image:
    """Draw the loss over the samples of the stable run up to where a branch left it, and then of the branch.

    Args:
        stable: checkpoint of the stable run; its journal lies beside it.
        branch: checkpoint of the branch, or the stable one again.
    """
    width_px, height_px = 640, 240
    after = _journal(branch)
    before = [line for line in _journal(stable) if line["step"] < after[0]["step"]]
    lines = [*before, *after]
    picture = Image.new("RGB", (width_px, height_px), "white")
    draw = ImageDraw.Draw(picture)
    last, highest = lines[-1]["samples"], max(line["loss"] for line in lines)
    points = [
        (40 + line["samples"] / last * (width_px - 60), 10 + (1 - line["loss"] / highest) * (height_px - 40))
        for line in lines
    ]
    draw.rectangle((40, 10, width_px - 20, height_px - 30), outline=(180, 180, 180))
    draw.line(points, fill=(30, 90, 200), width=2)
    draw.text(
        (42, height_px - 25), f"0 to {last:,} samples; loss {highest:.2f} to {lines[-1]['loss']:.3f}", fill="black"
    )
    return picture
