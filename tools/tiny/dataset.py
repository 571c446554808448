"""Pictures of the world in bulk: rendered once, by several processes, kept in the run's folder with their scenes.

Every picture depends on the seed and its own number alone, so any part can be made again anywhere.
"""

import json
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tools.tiny.world import Scene, choose_scene, render

SIDE_PX = 64
CHUNK = 500
Pictures = npt.NDArray[np.uint8]


def make_picture(seed: int, number: int) -> tuple[Scene, Pictures]:
    """Make one picture of the collection.

    Args:
        seed: names the collection.
        number: names the picture in it.

    Returns:
        The scene and its picture `(64, 64, 3)`.
    """
    rng = np.random.default_rng([seed, number])
    scene = choose_scene(rng)
    return scene, np.asarray(render(scene, rng, SIDE_PX))


def _make_chunk(seed: int, numbers: range) -> tuple[list[Scene], Pictures]:
    scenes, pictures = zip(*(make_picture(seed, number) for number in numbers), strict=True)
    return list(scenes), np.stack(pictures)


def make_collection(seed: int, count: int, processes: int) -> Iterable[tuple[list[Scene], Pictures]]:
    """Render a collection in order, a chunk at a time, on several processes."""
    numbers = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_make_chunk, [seed] * len(numbers), numbers)


def write_collection(folder: Path, seed: int, count: int, processes: int) -> None:
    """Render a collection into `pictures.npy` and `scenes.json`; an existing one of that size is kept."""
    scenes_file, pictures_file = folder / "scenes.json", folder / "pictures.npy"
    if scenes_file.exists() and len(json.loads(scenes_file.read_text("utf-8"))) == count:
        return
    folder.mkdir(parents=True, exist_ok=True)
    shape = (count, SIDE_PX, SIDE_PX, 3)
    pictures = np.lib.format.open_memmap(pictures_file, mode="w+", dtype=np.uint8, shape=shape)
    scenes: list[Scene] = []
    for chunk_scenes, chunk in make_collection(seed, count, processes):
        pictures[len(scenes) : len(scenes) + len(chunk)] = chunk
        scenes += chunk_scenes
    pictures.flush()
    scenes_file.write_text(json.dumps([asdict(scene) for scene in scenes]), "utf-8")


def read_scenes(folder: Path) -> list[Scene]:
    """Read the scenes of a written collection."""
    return [Scene(**entry) for entry in json.loads((folder / "scenes.json").read_text("utf-8"))]


def read_pictures(folder: Path) -> Pictures:
    """Open the pictures `(n, 64, 64, 3)` of a written collection without loading them."""
    pictures: Pictures = np.load(folder / "pictures.npy", mmap_mode="r")
    return pictures
