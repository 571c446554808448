"""The family of a checkpoint: by the pipeline class of its `model_index.json`, or by the names in a one-file one."""

from collections.abc import Mapping
from pathlib import Path

from dti.errors import ModelUnavailableError
from dti.families import one_file
from dti.families.sources import fetch_index, read_json

_PIPELINES: Mapping[str, str] = {
    "StableDiffusionPipeline": "sd",
    "StableDiffusionXLPipeline": "sdxl",
    "SanaPipeline": "sana",
    "Flux2KleinPipeline": "flux2",
    "Flux2Pipeline": "flux2",
    "ZImagePipeline": "zimage",
}


def detect(source: str | Path) -> str:
    """The family of a checkpoint, as a name of `dti.spec.registry.FAMILIES`.

    Args:
        source: a folder in the diffusers layout, a one-file checkpoint, or a Hub id.

    Raises:
        ModelUnavailableError: it cannot be read, or its pipeline is of no family.
    """
    if Path(source).is_file():
        return _of_index(one_file.open_file(Path(source)).folder, source)
    return _of_index(fetch_index(source), source)


def _of_index(folder: Path, source: str | Path) -> str:
    pipeline = str(read_json(folder, "model_index.json").get("_class_name"))
    if pipeline not in _PIPELINES:
        raise ModelUnavailableError(
            f"{source} is a {pipeline}, which is of no known family. Known: {', '.join(_PIPELINES)}."
        )
    return _PIPELINES[pipeline]
