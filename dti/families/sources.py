"""Checkpoints in the diffusers layout: download, configurations and weights.

A source is a folder or a Hugging Face Hub id. Only safetensors weights are read, so no file of a checkpoint can
execute code.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
from huggingface_hub import snapshot_download
from huggingface_hub.errors import GatedRepoError, HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel

from dti.errors import ModelUnavailableError

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
"""Owner, name and, optionally, a revision: owner/name@revision."""

_WEIGHTS = re.compile(r"(diffusion_pytorch_)?model(\.(?P<early>\w+))?(-\d{5}-of-\d{5})?(\.(?P<late>\w+))?\.safetensors")
"""One file or shards; the variant stands between dots."""

VARIANTS = (None, "bf16", "fp16")
"""Weight variants in order of preference; None is the original precision."""

_TEXTS = ("*.json", "*.txt", "*.model", "*.jinja")
"""Configurations and tokenizers."""

_PLAIN = ("*model.safetensors", "*model-?????-of-?????.safetensors")
"""Weights without a variant."""

_NO_MEMORY = "can't allocate memory"
"""Part of torch's RuntimeError for exhausted host memory, which has no class of its own."""


def find(source: str | Path, parts: Sequence[str]) -> Path:
    """Folder of a checkpoint; for a Hub id, these parts are downloaded into the cache, of its revision if it names one.

    Raises:
        ModelUnavailableError: the source does not exist, cannot be downloaded, or is not in the diffusers layout.
    """
    if Path(source).is_file():
        raise ModelUnavailableError(
            f"{source} is a file. One-file checkpoints are read for the families sd and sdxl only."
        )
    folder = Path(source) if Path(source).is_dir() else _fetch(str(source), parts)
    for part in ("model_index.json", *parts):
        if not (folder / part).exists():
            raise ModelUnavailableError(
                f"{source} has no {part}: it is no checkpoint in the diffusers layout, or a part of it is missing. "
                f"Needed are model_index.json and {', '.join(parts)}."
            )
    return folder


def fetch_index(source: str | Path) -> Path:
    """Folder that holds a checkpoint's `model_index.json`; of a Hub id it is the only file that is downloaded.

    Raises:
        ModelUnavailableError: the source does not exist or cannot be downloaded.
    """
    if Path(source).is_dir():
        return Path(source)
    _check_hub_id(str(source))
    return _download(str(source), ["model_index.json"])


def _check_hub_id(source: str) -> None:
    if not _HUB_ID.fullmatch(source):
        raise ModelUnavailableError(
            f"There is no folder {source}, and it is no Hub id (owner/name or owner/name@revision) either. "
            "Check the path."
        )


def _fetch(source: str, parts: Sequence[str]) -> Path:
    _check_hub_id(source)
    folder = _download(
        source, ["model_index.json", *(f"{part}/{kind}" for part in parts for kind in (*_TEXTS, *_PLAIN))]
    )
    bare = [part for part in parts if (folder / part / "config.json").exists() and not _weight_files(folder, part)]
    for variant in filter(None, VARIANTS):
        if bare:
            folder = _download(source, [f"{part}/*.{variant}*.safetensors" for part in bare])
            bare = [part for part in bare if not _weight_files(folder, part)]
    return folder


def _download(source: str, wanted: Sequence[str]) -> Path:
    """Cache folder of a repository, with the files that match these patterns."""
    name, _, revision = source.partition("@")
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=list(wanted)))
    except GatedRepoError as error:
        raise ModelUnavailableError(
            f"{source} asks for its licence to be accepted: do so on its page on the Hub, and set HF_TOKEN."
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelUnavailableError(
            f"There is neither a folder nor a public repository {source}. Check its name; a private one needs HF_TOKEN."
        ) from error
    except LocalEntryNotFoundError as error:
        raise ModelUnavailableError(
            f"{source} is not in the local cache, and the Hub cannot be reached. Fetch it once with a network, "
            "or give the path of a folder."
        ) from error
    except OSError as error:
        raise ModelUnavailableError(f"{source} cannot be fetched from the Hub: {error}") from error


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Read a configuration of a checkpoint.

    Raises:
        ModelUnavailableError: it is missing or no JSON object.
    """
    try:
        value = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelUnavailableError(f"{folder / name} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise ModelUnavailableError(f"{folder / name} is no JSON object: the checkpoint is damaged.")
    return value


class _Loadable(Protocol):
    """Common interface of diffusers' and transformers' model classes."""

    @staticmethod
    def from_pretrained(path: Path, **options: Any) -> Any:  # noqa: ANN401 - both libraries leave it open
        """Load a model from a folder."""


def load_part(
    kind: _Loadable,
    folder: Path,
    part: str,
    *,
    file: Path | None = None,
    **options: Any,  # noqa: ANN401 - see _Loadable
) -> Any:  # noqa: ANN401 - see _Loadable
    """Load a frozen model from a folder of the checkpoint, without a second copy of its weights in memory.

    Args:
        kind: class of the model.
        folder: the checkpoint.
        part: folder of the model in it.
        file: a one-file checkpoint with the weights; `folder` then holds the configurations only.
        options: keyword arguments of `from_pretrained`.

    Raises:
        ModelUnavailableError: weights are missing, damaged or of other shapes.
        MemoryError: host memory is exhausted.
        torch.OutOfMemoryError: device memory is exhausted.
    """
    if file is not None:
        return load_from_file(
            kind, file, folder, part, options["dtype"] if "dtype" in options else options["torch_dtype"]
        )
    variant = _variant(weights(folder, part)[0])
    with _loading(folder / part):
        model, info = kind.from_pretrained(
            folder / part,
            variant=variant,
            use_safetensors=True,
            local_files_only=True,
            low_cpu_mem_usage=True,
            output_loading_info=True,
            **options,
        )
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise ModelUnavailableError(
            f"{folder / part} lacks {len(missing)} weights, {missing[0]} among them: the checkpoint is incomplete."
        )
    return model.requires_grad_(requires_grad=False).eval()


def weights(folder: Path, part: str) -> list[Path]:
    """Weight files of a part, sorted.

    Raises:
        ModelUnavailableError: there are none.
    """
    files = _weight_files(folder, part)
    if not files:
        raise ModelUnavailableError(f"{folder / part} holds no safetensors weights. Convert the checkpoint to them.")
    return files


def _weight_files(folder: Path, part: str) -> list[Path]:
    """Weight files of a part, sorted, all of the preferred variant available."""
    found = sorted(path for path in (folder / part).iterdir() if _WEIGHTS.fullmatch(path.name))
    choices = [[path for path in found if _variant(path) == variant] for variant in VARIANTS]
    return next(filter(None, choices), [])


def _variant(file: Path) -> str | None:
    """Variant in a weight file's name, before or after the shard number; None for the original precision."""
    match = _WEIGHTS.fullmatch(file.name)
    return (match["early"] or match["late"]) if match else None


@contextmanager
def _loading(path: Path) -> Iterator[None]:
    """Convert errors of the file readers to ModelUnavailableError; memory errors pass through."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        if _NO_MEMORY in str(error):
            raise MemoryError(str(error)) from error
        raise ModelUnavailableError(f"{path} cannot be loaded: {error}") from error


_NO_DATA = "meta tensor"
"""Part of torch's error for a weight that no file has filled."""

_ENCODERS = ("cond_stage_model.", "conditioner.")
"""First parts of the names of text encoders' weights in one-file checkpoints."""


def _convert(kind: Any, file: Path, folder: Path, part: str, dtype: torch.dtype) -> Any:  # noqa: ANN401 - see _Loadable
    options = {"config": str(folder), "subfolder": part, "torch_dtype": dtype, "local_files_only": True}
    try:
        return kind.from_single_file(str(file), **options)
    except NotImplementedError as error:
        if _NO_DATA not in str(error):
            raise
        raise ModelUnavailableError(
            f"{file} lacks weights of its {part}: the checkpoint is incomplete. Fetch it again."
        ) from error


def load_from_file(kind: Any, file: Path, folder: Path, part: str, dtype: torch.dtype) -> Any:  # noqa: ANN401 - see _Loadable
    """Load a frozen model from a one-file checkpoint, by diffusers' conversion.

    Args:
        kind: class of the model.
        file: the checkpoint.
        folder: its configurations.
        part: folder of the model's configuration.
        dtype: of the weights.

    Raises:
        ModelUnavailableError: weights are missing, damaged or of other shapes.
    """
    with _loading(file):
        if issubclass(kind, PreTrainedModel):
            with safe_open(file, framework="pt") as stored:
                names = [name for name in stored.keys() if name.startswith(_ENCODERS)]  # noqa: SIM118 - no mapping
                found = {name: stored.get_tensor(name) for name in names}
            convert: Any = create_diffusers_clip_model_from_ldm
            model = convert(kind, found, subfolder=part, config=str(folder), torch_dtype=dtype, local_files_only=True)
        else:
            model = _convert(kind, file, folder, part, dtype)
    missing = [name for name, weight in model.named_parameters() if weight.is_meta]
    if missing:
        raise ModelUnavailableError(
            f"{file} lacks {len(missing)} weights of its {part}, {missing[0]} among them: the checkpoint is incomplete."
        )
    return model.requires_grad_(requires_grad=False).eval()
