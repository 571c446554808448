"""The recipe of the bundled model as one command: `python -m tools.tiny.recipe --run FOLDER`.

Stages, each of which can also be run alone and takes up the files that earlier ones left in the run's folder:
world (pictures, looks and scenes), autoencoder (latents and decoder), train (text model, denoiser and look encoder at a
stable learning rate, resumable at any step), anneal (a branch from the latest training checkpoint that takes the
learning rate to zero), judges (scorers of attributes and looks), export (the diffusers layout), report (pictures,
figures of the text model), acceptance (swap test, scale test, hard prompts and exam, without training a concept),
concepts (how well the held-out ones are learned). A further stage, begin, is only run by name: after world, it takes
the place of autoencoder where training goes on from the bundled checkpoint. The module knows the order of the stages
and the names of their files; each stage's work is in its own module.
"""

import argparse
import functools
import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderTiny

from dti.families import load
from dti.models.tiny import CHECKPOINT
from dti.models.tiny.checkpoint import assemble, read_pipeline, write_checkpoint
from tools.tiny.acceptance import accept, as_table, verdicts
from tools.tiny.artwork import HELD_OUT_SETS, OBJECTS, TRAINED_SETS
from tools.tiny.autoencoder import (
    build_autoencoder,
    encode,
    principal_components,
    set_encoder,
    to_unit,
    train_decoder,
)
from tools.tiny.concepts import CONCEPTS, look_collection
from tools.tiny.dataset import read_pictures, read_scenes, write_collection
from tools.tiny.heldout import Examination, summary, trained_looks
from tools.tiny.networks import LookEncoder, build_scheduler
from tools.tiny.parallel import LOG_FORMAT, run_together
from tools.tiny.report import contact_sheet, loss_curve
from tools.tiny.residual import position_attenuation, row_norms, update_ratio
from tools.tiny.scorer.network import LookScorer, load_look_scorer, load_scorer
from tools.tiny.scorer.training import (
    accuracy,
    false_alarms,
    save_judge,
    train_look_scorer,
    train_scorer,
    trained_part,
)
from tools.tiny.training import Trainee, TrainingPlan, train

log = logging.getLogger(__name__)

DECODER_BATCH = 16
COMPONENT_PICTURES = 4000  # enough for the principal components of 4 by 4 patches
JUDGE_SEED, LOOK_SEED = 77, 78
LATENTS, AUTOENCODER, STABLE, LOOKS = "latents.pt", "autoencoder.pt", "stable.pt", "looks.pt"
SCORER, LOOK_SCORER = "scorer.safetensors", "look-scorer.safetensors"


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


def make_judges(options: argparse.Namespace) -> None:
    """Train the judges on every look, the held-out ones included, and measure them on unseen true pictures.

    The scorer goes on from the one in the run's folder, where there is one.
    """
    folder, autoencoder = options.run / "judges", _autoencoder(options)
    write_collection(folder, JUDGE_SEED, options.judge_pictures, options.processes, TRAINED_SETS + HELD_OUT_SETS)
    pictures, scenes = read_pictures(folder), read_scenes(folder)
    first = trained_part(len(scenes))
    scorer = train_scorer(
        np.concatenate([pictures[:first], read_pictures(options.run)]),
        [*scenes[:first], *read_scenes(options.run)],
        autoencoder,
        options.scorer_steps,
        options.device,
        first=first,
        start=options.run / SCORER if (options.run / SCORER).exists() else None,
    )
    save_judge(scorer, options.run / SCORER)
    unseen = [number for number in range(first, len(scenes)) if scenes[number].look.art_set in HELD_OUT_SETS]
    held_out = pictures[unseen], [scenes[number] for number in unseen]
    figures = {
        "unseen true pictures of held-out looks": accuracy(scorer, *held_out),
        "false alarms": false_alarms(scorer, *held_out),
        "look scorer": _make_look_scorer(options, autoencoder),
    }
    (options.run / "judges.json").write_text(json.dumps(figures, indent=2), "utf-8")
    log.info("judges: %s", figures)


@torch.no_grad()
def _named_right(scorer: LookScorer, pictures: npt.NDArray[np.uint8], concepts: npt.NDArray[np.int64]) -> float:
    device = next(scorer.parameters()).device
    return float((scorer(to_unit(pictures).to(device)).argmax(1).cpu().numpy() == concepts).mean())


def _make_look_scorer(options: argparse.Namespace, autoencoder: AutoencoderTiny) -> float:
    """Train the look scorer and give the share of unseen true pictures whose concept it names right."""
    pictures, concepts = look_collection(CONCEPTS, max(10, options.judge_pictures // 100), LOOK_SEED)
    first = trained_part(len(concepts))
    scorer = train_look_scorer(pictures[:first], concepts[:first], autoencoder, options.look_steps, options.device)
    save_judge(scorer, options.run / LOOK_SCORER)
    return _named_right(scorer, pictures[first:], concepts[first:])


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
    torch.save(trainee.looks.state_dict(), options.run / LOOKS)
    size = write_checkpoint(assemble(*parts), options.run / "checkpoint")
    log.info("the checkpoint of step %d holds %.1f MB", trainee.step, size / 1e6)


def make_report(options: argparse.Namespace) -> None:
    """Measure the written checkpoint's text model and draw the pictures of docs/tiny.md."""
    pipeline = read_pipeline(options.run / "checkpoint", torch.device("cpu"))
    text_model, tokenizer, words = pipeline.text_encoder, pipeline.tokenizer, list(OBJECTS)
    figures = {
        "row norm, mean and deviation": row_norms(text_model),
        "sum of update norms over row norm": update_ratio(text_model, tokenizer, words),
        "likeness of positions by row scale": position_attenuation(text_model, tokenizer, words),
    }
    (options.run / "report.json").write_text(json.dumps(figures, indent=2), "utf-8")
    log.info("%s", figures)
    contact_sheet(pipeline).save(options.run / "contact-sheet.png", optimize=True)
    loss_curve(options.run / STABLE, _latest(options.run)).save(options.run / "loss.png", optimize=True)


def make_acceptance(options: argparse.Namespace) -> None:
    """Run the tests of acceptance on the written checkpoint and print their table."""
    pipeline = read_pipeline(options.run / "checkpoint", torch.device("cpu"))
    tests = accept(pipeline, load_scorer(options.run / SCORER), options.exam)
    holds = verdicts(tests)
    (options.run / "acceptance.json").write_text(json.dumps({"tests": tests, "floors": holds}, indent=2), "utf-8")
    lines = [as_table(tests), *(f"{'holds' if good else 'FAILS'}: {floor}" for floor, good in holds.items())]
    log.info("acceptance\n%s", "\n".join(lines))


def make_concepts(options: argparse.Namespace) -> None:
    """Learn held-out concepts with the written checkpoint and judge them."""
    pipeline = read_pipeline(options.run / "checkpoint", torch.device("cpu"))
    encoder = LookEncoder()
    encoder.load_state_dict(torch.load(options.run / LOOKS, weights_only=True))
    judges = load_scorer(options.run / SCORER), load_look_scorer(options.run / LOOK_SCORER)
    examination = Examination(load("sd", options.run / "checkpoint", "cpu"), pipeline, *judges, options.concept_steps)
    outcomes = []
    for number, concept in enumerate(CONCEPTS[: options.concepts]):
        outcomes.append(examination.take(concept, number))
        log.info("%s", outcomes[-1])
    figures = summary(outcomes, trained_looks(pipeline, encoder, options.concepts))
    log.info("%s", figures)
    told = {"summary": figures, "concepts": [asdict(outcome) for outcome in outcomes]}
    (options.run / "concepts.json").write_text(json.dumps(told, indent=2), "utf-8")
    examination.sheet().save(options.run / "concepts.png", optimize=True)


ONE_BY_ONE = {"begin": make_beginning}
STAGES: dict[str, Callable[[argparse.Namespace], None]] = {
    "world": make_world,
    "autoencoder": make_autoencoder,
    "train": make_stable,
    "anneal": make_annealed,
    "judges": make_judges,
    "export": make_checkpoint,
    "report": make_report,
    "acceptance": make_acceptance,
    "concepts": make_concepts,
}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; the defaults are those of the committed weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder for all that the recipe makes")
    parser.add_argument("--stage", choices=[*STAGES, *ONE_BY_ONE], help="run this one alone")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cpu or cuda")
    parser.add_argument("--processes", type=int, default=2, help="of one thread each; 1 on a GPU")
    parser.add_argument("--pictures", type=int, default=80_000)
    parser.add_argument("--judge-pictures", type=int, default=30_000, help="true pictures that train the judges")
    parser.add_argument("--decoder-steps", type=int, default=1200)
    parser.add_argument("--steps", type=int, default=6000, help="of the stable run")
    parser.add_argument("--anneal", type=int, default=1500, help="steps of the branch that ends a training")
    parser.add_argument("--batch", type=int, default=32, help="pictures a step and process")
    parser.add_argument("--scorer-steps", type=int, default=4000)
    parser.add_argument("--look-steps", type=int, default=600, help="of the look scorer")
    parser.add_argument("--exam", type=int, default=240, help="prompts of the exam and of the hard prompts")
    parser.add_argument("--concepts", type=int, default=len(CONCEPTS), help="held-out concepts to be learned")
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
