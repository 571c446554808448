"""The recipe of the bundled model as one command: `python -m tools.tiny.recipe --run FOLDER`.

Stages, each of which can also be run alone and continues from the files of earlier ones in the run's folder:
world (pictures and scenes), autoencoder (latents and decoder), train (text model and denoiser at a stable learning
rate, resumable at any step), anneal (a branch from the latest training checkpoint that takes the learning rate to
zero), scorer, export (the diffusers layout), report (scores, contact sheet, figures), concepts (how well those of
examples/, which it never saw, are learned). A further stage, begin, is only
run by name: after world, it takes the place of autoencoder where training goes on from the bundled checkpoint. It
knows the order of the stages and the names of their files; each stage's work is in its own module.
"""

import argparse
import functools
import json
import logging
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderTiny

from dti.families import load
from dti.models.tiny import CHECKPOINT
from dti.models.tiny.checkpoint import assemble, read_pipeline, write_checkpoint
from tools.tiny.artwork import OBJECTS
from tools.tiny.autoencoder import build_autoencoder, encode, principal_components, set_encoder, train_decoder
from tools.tiny.dataset import read_pictures, read_scenes, write_collection
from tools.tiny.heldout import evaluate
from tools.tiny.networks import build_scheduler
from tools.tiny.parallel import LOG_FORMAT, run_together
from tools.tiny.report import contact_sheet, loss_curve, score
from tools.tiny.residual import position_attenuation, row_norms, update_ratio
from tools.tiny.scorer.network import load_scorer
from tools.tiny.scorer.training import accuracy, save_scorer, train_scorer, trained_part
from tools.tiny.training import Trainee, TrainingPlan, train

log = logging.getLogger(__name__)

DECODER_BATCH = 16
COMPONENT_PICTURES = 4000  # enough for the principal components of 4 by 4 patches
EXAM_SEED = 2025
LATENTS, AUTOENCODER, STABLE = "latents.pt", "autoencoder.pt", "stable.pt"


def make_world(options: argparse.Namespace) -> None:
    """Render the collection."""
    write_collection(options.run, options.seed, options.pictures, options.processes)


def make_autoencoder(options: argparse.Namespace) -> None:
    """Set the encoder, write all latents, train the decoder."""
    pictures = read_pictures(options.run)
    autoencoder = build_autoencoder().to(options.device)
    projection, offset, kept = principal_components(pictures[:COMPONENT_PICTURES])
    set_encoder(autoencoder, projection, offset)
    log.info("the encoder keeps %.1f %% of the variance", 100 * kept)
    torch.save(encode(autoencoder, pictures, options.device), options.run / LATENTS)
    psnr = train_decoder(autoencoder, pictures, options.decoder_steps, DECODER_BATCH, options.device)
    log.info("the decoder reaches %.1f dB", psnr)
    torch.save(autoencoder.state_dict(), options.run / AUTOENCODER)


def make_beginning(options: argparse.Namespace) -> None:
    """Take autoencoder and networks from the bundled checkpoint, to train on where only that is left of a run."""
    pipeline = read_pipeline(CHECKPOINT, torch.device("cpu"))
    torch.save(pipeline.vae.state_dict(), options.run / AUTOENCODER)
    torch.save(encode(pipeline.vae, read_pictures(options.run), torch.device("cpu")), options.run / LATENTS)
    trainee = Trainee(torch.device("cpu"))
    trainee.begin_with(pipeline)
    trainee.save(options.run / STABLE)


def _train(options: argparse.Namespace, checkpoint: Path, plan: TrainingPlan) -> None:
    start = options.run / STABLE
    run_together(functools.partial(train, options.run, checkpoint, start, plan, options.device), options.processes)


def make_stable(options: argparse.Namespace) -> None:
    """Train up to a number of steps at a stable learning rate."""
    plan = TrainingPlan(options.steps, options.batch, seed=options.seed)
    _train(options, options.run / STABLE, plan)


def make_annealed(options: argparse.Namespace) -> None:
    """Branch off from the stable run and take the learning rate to zero."""
    start = torch.load(options.run / STABLE, map_location="cpu", weights_only=True)["step"]
    plan = TrainingPlan(start + options.anneal, options.batch, options.anneal, options.seed)
    _train(options, options.run / f"annealed-{start}.pt", plan)


def make_scorer(options: argparse.Namespace) -> None:
    """Train the scorer and say how well it names unseen pictures."""
    pictures, scenes = read_pictures(options.run), read_scenes(options.run)
    autoencoder = _autoencoder(options)
    scorer = train_scorer(pictures, scenes, autoencoder, options.scorer_steps, options.device)
    unseen = slice(trained_part(len(scenes)), None)
    log.info("scorer on unseen pictures: %s", accuracy(scorer, pictures[unseen], scenes[unseen]))
    save_scorer(scorer, options.run / "scorer.safetensors")


def _autoencoder(options: argparse.Namespace) -> AutoencoderTiny:
    autoencoder = build_autoencoder().to(options.device)
    autoencoder.load_state_dict(torch.load(options.run / AUTOENCODER, weights_only=True))
    return autoencoder


def _latest(run: Path) -> Path:
    """Give the annealed branch that started last, or the stable run where there is none."""
    branches = sorted(run.glob("annealed-*.pt"), key=lambda path: int(path.stem.split("-")[1]))
    return branches[-1] if branches else run / STABLE


def make_checkpoint(options: argparse.Namespace) -> None:
    """Write the latest training's averaged weights in the diffusers layout."""
    trainee = Trainee(torch.device("cpu"))
    trainee.load(_latest(options.run))
    trainee.use_average()
    parts = (trainee.tokenizer, trainee.text_model, trainee.denoiser, _autoencoder(options).cpu(), build_scheduler())
    size = write_checkpoint(assemble(*parts), options.run / "checkpoint")
    log.info("the checkpoint of step %d holds %.1f MB", trainee.step, size / 1e6)


def make_report(options: argparse.Namespace) -> None:
    """Score the written checkpoint and draw the figures of docs/tiny.md."""
    pipeline = read_pipeline(options.run / "checkpoint", torch.device("cpu"))
    scorer = load_scorer(options.run / "scorer.safetensors")
    text_model, tokenizer, words = pipeline.text_encoder, pipeline.tokenizer, list(OBJECTS)
    figures = {
        "scores": score(pipeline, scorer, options.exam, EXAM_SEED),
        "row norm, mean and deviation": row_norms(text_model),
        "sum of update norms over row norm": update_ratio(text_model, tokenizer, words),
        "likeness of positions by row scale": position_attenuation(text_model, tokenizer, words),
    }
    (options.run / "report.json").write_text(json.dumps(figures, indent=2), "utf-8")
    log.info("%s", figures)
    contact_sheet(pipeline).save(options.run / "contact-sheet.png", optimize=True)
    loss_curve(options.run / STABLE, _latest(options.run)).save(options.run / "loss.png", optimize=True)


def make_concepts(options: argparse.Namespace) -> None:
    """Train the held-out concepts on the written checkpoint, and match pictures with concepts."""
    family = load("sd", options.run / "checkpoint", "cpu")
    scorer = load_scorer(options.run / "scorer.safetensors")
    similarities, sheet = evaluate(family, scorer, options.examples, options.concept_steps)
    own = sum(max(row, key=lambda other: row[other]) == name for name, row in similarities.items())
    log.info("%d of %d concepts resemble their own references most: %s", own, len(similarities), similarities)
    (options.run / "concepts.json").write_text(json.dumps(similarities, indent=2), "utf-8")
    sheet.save(options.run / "concepts.png", optimize=True)


ONE_BY_ONE = {"begin": make_beginning}
STAGES: dict[str, Callable[[argparse.Namespace], None]] = {
    "world": make_world,
    "autoencoder": make_autoencoder,
    "train": make_stable,
    "anneal": make_annealed,
    "scorer": make_scorer,
    "export": make_checkpoint,
    "report": make_report,
    "concepts": make_concepts,
}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; the defaults are those of the committed weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder for all that the recipe makes")
    parser.add_argument("--stage", choices=[*STAGES, *ONE_BY_ONE], help="run this one alone")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cpu or cuda")
    parser.add_argument("--processes", type=int, default=2, help="of one thread each; 1 on a GPU")
    parser.add_argument("--pictures", type=int, default=30_000)
    parser.add_argument("--decoder-steps", type=int, default=1200)
    parser.add_argument("--steps", type=int, default=6000, help="of the stable run")
    parser.add_argument("--anneal", type=int, default=1500, help="steps of the branch that ends a training")
    parser.add_argument("--batch", type=int, default=80, help="pictures a step and process")
    parser.add_argument("--scorer-steps", type=int, default=1200)
    parser.add_argument("--exam", type=int, default=500, help="prompts that the report scores")
    parser.add_argument("--examples", type=Path, default=Path("examples"), help="folder of concepts to be learned")
    parser.add_argument("--concept-steps", type=int, default=400, help="updates of each of their trainings")
    parser.add_argument("--seed", type=int, default=2)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run one stage or all of them in order."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    options = parse(arguments)
    options.run.mkdir(parents=True, exist_ok=True)
    for name in [options.stage] if options.stage else STAGES:
        log.info("stage %s", name)
        (STAGES | ONE_BY_ONE)[name](options)


if __name__ == "__main__":
    main()
