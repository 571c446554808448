"""Draws a finished checkpoint: a sheet of pictures to see and the curve of its loss.

It knows a checkpoint in the diffusers layout and the journals of a run, not how either came to be.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image, ImageDraw

STEPS = 20
GUIDANCE = 3.0
BATCH = 50
SHEET_COLUMNS = 8
SHEET_PROMPTS = (
    "a photo of a dog",
    "a photo of a cat in the snow",
    "on the beach wearing a top hat, an owl",
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
    "in the city with a balloon, a purple ghost",
    "a photo of a bird in the forest",
    "a fish in the water",
    "a photo of a man wearing sunglasses",
    "a woman with a crown in the mountains",
    "a photo of a flower on grass",
    "a plant on a wooden table",
    "a tree in the snow",
    "a photo of a house at sunset",
    "a shoe on a white background",
    "a photo of a bag in the city",
    "a clock in front of a brick wall",
    "in the forest, a photo of a bear",
    "a rabbit wearing a bow on grass",
    "a photo of a cake on a gray background",
    "a photo of two dogs in the snow",
    "a red cat and a blue rabbit on the beach",
)


def paint(pipeline: StableDiffusionPipeline, prompts: Sequence[str], seed: int) -> Iterator[Image.Image]:
    """Paint one picture for each prompt, in batches, with the seed given."""
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, len(prompts), BATCH):
        batch = list(prompts[start : start + BATCH])
        yield from pipeline(batch, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generator).images


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
