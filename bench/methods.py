"""Comparison of the methods on the bundled model: rotation, norm and loss of the rows.

    python bench/methods.py teal-ghost ghost out/

All methods share class word, pictures, prompts, seeds, batch size and updates; each has its own published learning
rate. The loss is measured after training, on 64 draws that are the same for all.
"""

import io
import sys
from pathlib import Path
from statistics import mean

import torch
from PIL import Image
from torch import Generator

from cli.offline import OfflineModel, open_model, read_folder
from dti.pictures import contact_sheet
from dti.render import PictureWork, Renderer
from dti.spec.prompts import parse_prompt
from dti.spec.registry import METHODS
from dti.spec.templates import OBJECT_TEMPLATES
from dti.tokens import Placeholder, tokenize
from dti.training.run import Run, TrainingWork
from dti.training.trainer import Trainer
from service.settings import Settings

UPDATES, BATCH, SEEDS = 200, 4, (1, 2)
PROMPTS = ("a photo of {}", "a photo of {} on the grass")
DRAWS = 64


def train(model: OfflineModel, folder: Path, class_word: str) -> list[Run]:
    """Train every method with every seed, separately."""
    pictures = read_folder(folder, Settings())
    runs = []
    for method, entry in METHODS.items():
        for seed in SEEDS:
            work = TrainingWork(
                pictures=[Image.open(io.BytesIO(picture.data)) for picture in pictures],
                captions=[picture.caption for picture in pictures],
                class_word=class_word,
                trigger="it",
                method=method,
                learnable_property="object",
                settings=entry.settings(seed=seed, resolution=64, steps=UPDATES, batch_size=BATCH),
            )
            trainer = Trainer(model.family)
            runs.append(trainer.admit(work))
            while trainer.runs:
                trainer.advance()
    return runs


@torch.no_grad()
def loss(run: Run) -> float:
    """Denoising loss with the exported rows."""
    family, generators = run.family, [Generator().manual_seed(number) for number in range(DRAWS)]
    vectors = {"it": {name: rows.vectors for name, rows in run.embedding().rows.items()}}
    placeholder = {"it": Placeholder(run.work.class_word, {name: len(rows) for name, rows in vectors["it"].items()})}
    losses = []
    for number, generator in enumerate(generators):
        crops = run.training_set.crops[number % len(run.training_set.crops)]
        prompt = OBJECT_TEMPLATES[int(torch.randint(len(OBJECT_TEMPLATES), (), generator=generator))].format("<it>")
        spliced = tokenize(parse_prompt(prompt), family.encoders, placeholder).splice(vectors)
        latents = crops.latents[:1].sample(generator)
        read = family.condition([spliced], crops.views[:1])
        losses.append(float(family.loss(latents, crops.weights[:1], read, [generator])))
    return mean(losses)


def shown(model: OfflineModel, run: Run) -> list[Image.Image]:
    """Pictures of the concept for every prompt."""
    entry, renderer = model.entry, Renderer(model.family)
    slots = [
        renderer.admit(
            PictureWork(
                prompt=prompt.replace("{}", "<it>"),
                concepts={"it": run.embedding()},
                width=64,
                height=64,
                steps=entry.steps,
                guidance_scale=entry.guidance_scale,
                scheduler=entry.scheduler,
                seed=11,
            )
        )
        for prompt in PROMPTS
    ]
    while renderer.slots:
        renderer.advance()
    return [slot.picture for slot in slots if slot.picture is not None]


def main(example: str, class_word: str, out: str) -> None:
    """Train, print the table, and save the pictures, one row per method."""
    model = open_model("tiny", "sd", Settings())
    runs = train(model, Path("examples") / example, class_word)
    print("| method | learning rate | angle | norm | loss |\n|---|---|---|---|---|")
    pictures, labels = [], []
    for method in METHODS:
        own = [run for run in runs if run.work.method == method]
        norms = [float(rows.magnitude.mean()) for run in own for rows in run.embedding().rows.values()]
        figures = mean(run.angle_rad for run in own), mean(norms), mean(loss(run) for run in own)
        rate = own[0].work.settings.learning_rate
        print(f"| `{method}` | {rate:g} | {figures[0]:.2f} | {figures[1]:.2f} | {figures[2]:.4f} |")
        for run in own:
            pictures += shown(model, run)
            labels += [f"{method} {run.work.settings.seed}"] * len(PROMPTS)
    Path(out).mkdir(parents=True, exist_ok=True)
    contact_sheet(pictures, len(SEEDS) * len(PROMPTS), labels).save(Path(out) / "methods.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
