"""Checkpoints of the published sizes with random weights, in the diffusers layout, without any download.

The sizes are those of the published configurations of Stable Diffusion XL and SANA 1.5 1.6B.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    SanaTransformer2DModel,
    UNet2DConditionModel,
)
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Gemma2Config,
    Gemma2Model,
    GemmaTokenizer,
)


@dataclass(frozen=True)
class Size:
    """Size of a checkpoint.

    Args:
        networks: constructors of the networks by folder name.
        others: constructors of tokenizers and scheduler by folder name.
        index: contents of model_index.json.
    """

    networks: Mapping[str, Callable[[], Any]]
    others: Mapping[str, Callable[[], Any]]
    index: Mapping[str, object]

    def write(self, folder: Path, device: torch.device) -> Path:
        """Write the checkpoint in bfloat16, one part at a time; returns the folder.

        Args:
            folder: created if missing.
            device: device for random initialisation.
        """
        for name, make in {**self.networks, **self.others}.items():
            # Both libraries create weights in the default dtype on the default device.
            torch.set_default_dtype(torch.bfloat16)
            try:
                with torch.device(device):
                    part = make()
            finally:
                torch.set_default_dtype(torch.float32)
            part.save_pretrained(folder / name)
        (folder / "model_index.json").write_text(json.dumps(self.index), encoding="utf-8")
        return folder


def _letters() -> dict[str, int]:
    """A byte-level vocabulary without merges: tokenization does not affect the cost of a padded prompt."""
    letters = sorted(ByteLevel.alphabet())
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return {piece: i for i, piece in enumerate(pieces)}


def _clip_tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer(vocab=_letters(), merges=[], model_max_length=77)


def _gemma_tokenizer() -> GemmaTokenizer:
    special = ["<pad>", "<eos>", "<bos>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    pieces = [*special, *(chr(letter) for letter in range(33, 127))]
    return GemmaTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], add_bos_token=True)


def _clip_config(**sizes: object) -> CLIPTextConfig:
    letters = _letters()
    return CLIPTextConfig(
        vocab_size=49408,
        max_position_embeddings=77,
        bos_token_id=letters["<|startoftext|>"],
        eos_token_id=letters["<|endoftext|>"],
        pad_token_id=letters["<|endoftext|>"],
        **sizes,
    )


def _clip_l() -> CLIPTextModel:
    config = _clip_config(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, hidden_act="quick_gelu"
    )
    return CLIPTextModel(config)


def _clip_bigg() -> CLIPTextModelWithProjection:
    config = _clip_config(
        hidden_size=1280,
        intermediate_size=5120,
        projection_dim=1280,
        num_hidden_layers=32,
        num_attention_heads=20,
        hidden_act="gelu",
    )
    return CLIPTextModelWithProjection(config)


def _sdxl_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=128,
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )


def _sdxl_autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        scaling_factor=0.13025,
        sample_size=1024,
    )


def _sdxl_scheduler() -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        timestep_spacing="leading",
    )


def _gemma() -> Gemma2Model:
    config = Gemma2Config(
        vocab_size=256000,
        hidden_size=2304,
        intermediate_size=9216,
        num_hidden_layers=26,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=256,
        query_pre_attn_scalar=256,
        sliding_window=4096,
    )
    return Gemma2Model(config)


def _sana_transformer() -> SanaTransformer2DModel:
    return SanaTransformer2DModel(
        in_channels=32,
        out_channels=32,
        num_attention_heads=70,
        attention_head_dim=32,
        num_layers=20,
        num_cross_attention_heads=20,
        cross_attention_head_dim=112,
        cross_attention_dim=2240,
        caption_channels=2304,
        mlp_ratio=2.5,
        sample_size=32,
        qk_norm="rms_norm_across_heads",
    )


def _sana_autoencoder() -> AutoencoderDC:
    blocks = ("ResBlock",) * 3 + ("EfficientViTBlock",) * 3
    return AutoencoderDC(
        encoder_block_types=blocks,
        decoder_block_types=blocks,
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        scaling_factor=0.41407,
    )


def _sana_scheduler() -> DPMSolverMultistepScheduler:
    return DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)


SDXL = Size(
    networks={"text_encoder": _clip_l, "text_encoder_2": _clip_bigg, "unet": _sdxl_unet, "vae": _sdxl_autoencoder},
    others={"tokenizer": _clip_tokenizer, "tokenizer_2": _clip_tokenizer, "scheduler": _sdxl_scheduler},
    index={"_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": True},
)

SANA = Size(
    networks={"text_encoder": _gemma, "transformer": _sana_transformer, "vae": _sana_autoencoder},
    others={"tokenizer": _gemma_tokenizer, "scheduler": _sana_scheduler},
    index={"_class_name": "SanaPipeline"},
)
