"""Writing and reading of `tiny` as a Stable Diffusion checkpoint in the diffusers layout, in half precision."""

from pathlib import Path

import torch
from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer


def assemble(
    tokenizer: CLIPTokenizer,
    text_model: CLIPTextModel,
    denoiser: UNet2DConditionModel,
    autoencoder: AutoencoderTiny,
    scheduler: DDIMScheduler,
) -> StableDiffusionPipeline:
    """Assemble the parts as diffusers' pipeline, without a safety checker."""
    return StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=text_model,
        tokenizer=tokenizer,
        unet=denoiser,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def write_checkpoint(pipeline: StableDiffusionPipeline, folder: Path) -> int:
    """Write a pipeline in half precision.

    Args:
        pipeline: the pipeline; its parts are cast in place.
        folder: created if missing; existing files are overwritten.

    Returns:
        Size of the folder in bytes.
    """
    pipeline.to(dtype=torch.float16)
    pipeline.save_pretrained(folder, safe_serialization=True)
    # Other programs read vocab.json and merges.txt instead of transformers' single tokenizer file.
    pipeline.tokenizer.backend_tokenizer.model.save(str(folder / "tokenizer"))
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def read_pipeline(folder: Path, device: torch.device) -> StableDiffusionPipeline:
    """Load a checkpoint with diffusers, in float32 and without progress bars."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device, torch.float32)
