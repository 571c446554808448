"""Pictures of the world in bulk: rendered once, by several processes, kept in the run's folder with their scenes.

Every picture depends on the seed and its own number alone, so any part can be made again anywhere.
"""

import functools
import json
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.tiny.artwork import TRAINED_SETS
from tools.tiny.world import Scene, choose_scene, draw_code, render, scene_from

SIDE_PX = 64
CODE_PX = 32
CHUNK = 500
Pictures = npt.NDArray[np.uint8]


class Sample(NamedTuple):
    """A scene, its picture `(64, 64, 3)`, its object's mask `(64, 64)` and its look alone `(32, 32, 4)`."""

    scene: Scene
    picture: Pictures
    mask: Pictures
    look: Pictures


def make_sample(scene: Scene, rng: np.random.Generator) -> Sample:
    """Draw a scene with everything that training and judges need of it."""
    picture, mask = render(scene, rng, SIDE_PX)
    return Sample(scene, np.asarray(picture), np.asarray(mask), np.asarray(draw_code(scene, CODE_PX)))


def make_picture(seed: int, number: int, art_sets: tuple[str, ...] = TRAINED_SETS) -> Sample:
    """Make one picture of the collection.

    Args:
        seed: names the collection.
        number: names the picture in it.
        art_sets: sets from which looks are taken.
    """
    rng = np.random.default_rng([seed, number])
    return make_sample(choose_scene(rng, art_sets), rng)


def _make_chunk(seed: int, art_sets: tuple[str, ...], numbers: range) -> tuple[list[Scene], Pictures, Pictures]:
    samples = [make_picture(seed, number, art_sets) for number in numbers]
    pictures, looks = (np.stack([getattr(sample, name) for sample in samples]) for name in ("picture", "look"))
    return [sample.scene for sample in samples], pictures, looks


def make_collection(
    seed: int, count: int, processes: int, art_sets: tuple[str, ...]
) -> Iterable[tuple[list[Scene], Pictures, Pictures]]:
    """Render a collection in order, a chunk at a time, on several processes."""
    numbers = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(functools.partial(_make_chunk, seed, art_sets), numbers)


def write_collection(
    folder: Path, seed: int, count: int, processes: int, art_sets: tuple[str, ...] = TRAINED_SETS
) -> None:
    """Render a collection into `pictures.npy`, `looks.npy` and `scenes.json`; one of that size is kept."""
    scenes_file = folder / "scenes.json"
    if scenes_file.exists() and len(json.loads(scenes_file.read_text("utf-8"))) == count:
        return
    folder.mkdir(parents=True, exist_ok=True)
    shapes = {"pictures": (count, SIDE_PX, SIDE_PX, 3), "looks": (count, CODE_PX, CODE_PX, 4)}
    files = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=shape)
        for name, shape in shapes.items()
    }
    scenes: list[Scene] = []
    for chunk_scenes, pictures, looks in make_collection(seed, count, processes, art_sets):
        chunk = slice(len(scenes), len(scenes) + len(chunk_scenes))
        files["pictures"][chunk], files["looks"][chunk] = pictures, looks
        scenes += chunk_scenes
    for file in files.values():
        file.flush()
    scenes_file.write_text(json.dumps([asdict(scene) for scene in scenes]), "utf-8")


def read_scenes(folder: Path) -> list[Scene]:
    """Read the scenes of a written collection."""
    return [scene_from(entry) for entry in json.loads((folder / "scenes.json").read_text("utf-8"))]


def read_pictures(folder: Path) -> Pictures:
    """Open the pictures `(n, 64, 64, 3)` of a written collection without loading them."""
    pictures: Pictures = np.load(folder / "pictures.npy", mmap_mode="r")
    return pictures


def read_looks(folder: Path) -> Pictures:
    """Open the looks `(n, 32, 32, 4)` of a written collection without loading them."""
    looks: Pictures = np.load(folder / "looks.npy", mmap_mode="r")
    return looks
