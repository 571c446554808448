"""Configurations of checkpoints: published ones by preset, and those of a folder. No weights.

Values that equal the defaults of diffusers' and transformers' classes are omitted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dti.families.sources import read_json

Config = Mapping[str, Any]
"""A part's configuration file. `Any`: JSON holds anything until the part's class has read it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A checkpoint without weights.

    Attributes:
        family: a name of `dti.spec.registry.FAMILIES`.
        parts: configurations by folder name, scheduler included.
    """

    family: str
    parts: Mapping[str, Config]

    @classmethod
    def read(cls, family: str, folder: Path) -> "Layout":
        """The configurations of a folder in the diffusers layout.

        Raises:
            ModelUnavailableError: one is missing or damaged.
        """
        names = [path.parent.name for path in sorted(folder.glob("*/config.json"))]
        parts = {name: read_json(folder, f"{name}/config.json") for name in names}
        return cls(family, {**parts, "scheduler": read_json(folder, "scheduler/scheduler_config.json")})


_CLIP_L: Config = {
    "architectures": ["CLIPTextModel"],
    "model_type": "clip_text_model",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "eos_token_id": 49407,
}
_CLIP_BIGG: Config = {
    **_CLIP_L,
    "architectures": ["CLIPTextModelWithProjection"],
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "projection_dim": 1280,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
}
_GEMMA_2B: Config = {
    "model_type": "gemma2",
    "vocab_size": 256000,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
}
_QWEN3_4B: Config = {
    "model_type": "qwen3",
    "vocab_size": 151936,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
}
_KL: Config = {
    "_class_name": "AutoencoderKL",
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "sample_size": 512,
}
_DIFFUSION: Config = {"_class_name": "EulerDiscreteScheduler", "beta_schedule": "scaled_linear"}
_FLOW: Config = {"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": True}

_SD15 = Layout(
    "sd",
    {
        "text_encoder": _CLIP_L,
        "unet": {"_class_name": "UNet2DConditionModel", "sample_size": 64, "cross_attention_dim": 768},
        "vae": _KL,
        "scheduler": _DIFFUSION,
    },
)
_SDXL = Layout(
    "sdxl",
    {
        "text_encoder": _CLIP_L,
        "text_encoder_2": _CLIP_BIGG,
        "unet": {
            "_class_name": "UNet2DConditionModel",
            "sample_size": 128,
            "block_out_channels": (320, 640, 1280),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": (1, 2, 10),
            "attention_head_dim": (5, 10, 20),
            "cross_attention_dim": 2048,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        "vae": {**_KL, "sample_size": 1024},
        "scheduler": _DIFFUSION,
    },
)


def _sana(width: int, heads: int, layers: int) -> Layout:
    transformer = {
        "_class_name": "SanaTransformer2DModel",
        "num_attention_heads": width // 32,
        "attention_head_dim": 32,
        "num_layers": layers,
        "num_cross_attention_heads": heads,
        "cross_attention_head_dim": 112,
        "cross_attention_dim": width,
        "qk_norm": "rms_norm_across_heads",
    }
    blocks = ("ResBlock",) * 3 + ("EfficientViTBlock",) * 3
    scales = ((),) * 3 + ((5,),) * 3
    autoencoder = {
        "_class_name": "AutoencoderDC",
        "encoder_block_types": blocks,
        "decoder_block_types": blocks,
        "encoder_qkv_multiscales": scales,
        "decoder_qkv_multiscales": scales,
        "encoder_layers_per_block": (2, 2, 2, 3, 3, 3),
        "decoder_layers_per_block": (3,) * 6,
        "downsample_block_type": "conv",
        "upsample_block_type": "interpolate",
    }
    scheduler = {
        "_class_name": "DPMSolverMultistepScheduler",
        "prediction_type": "flow_prediction",
        "use_flow_sigmas": True,
        "flow_shift": 3.0,
    }
    parts = {"text_encoder": _GEMMA_2B, "transformer": transformer, "vae": autoencoder, "scheduler": scheduler}
    return Layout("sana", parts)


_FLUX2_KLEIN_4B = Layout(
    "flux2",
    {
        "text_encoder": _QWEN3_4B,
        "transformer": {
            "_class_name": "Flux2Transformer2DModel",
            "num_layers": 5,
            "num_single_layers": 20,
            "num_attention_heads": 24,
            "joint_attention_dim": 7680,
            "guidance_embeds": False,
        },
        "vae": {"_class_name": "AutoencoderKLFlux2"},
        "scheduler": _FLOW,
    },
)
_ZIMAGE = Layout(
    "zimage",
    {
        "text_encoder": _QWEN3_4B,
        "transformer": {"_class_name": "ZImageTransformer2DModel"},
        "vae": {
            **_KL,
            "latent_channels": 16,
            "sample_size": 1024,
            "use_quant_conv": False,
            "use_post_quant_conv": False,
        },
        "scheduler": {**_FLOW, "use_dynamic_shifting": False, "shift": 3.0},
    },
)

PUBLISHED: Mapping[str, Layout] = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": _SD15,
    "stabilityai/stable-diffusion-xl-base-1.0": _SDXL,
    "Efficient-Large-Model/SANA1.5_1.6B_1024px_diffusers": _sana(2240, 20, 20),
    "Efficient-Large-Model/SANA1.5_4.8B_1024px_diffusers": _sana(2240, 20, 60),
    "black-forest-labs/FLUX.2-klein-4B": _FLUX2_KLEIN_4B,
    "black-forest-labs/FLUX.2-klein-base-4B": _FLUX2_KLEIN_4B,
    "Tongyi-MAI/Z-Image": _ZIMAGE,
    "Tongyi-MAI/Z-Image-Turbo": _ZIMAGE,
}
"""Layouts by Hub id, so that a plan needs no download. Source: the checkpoints' published configurations."""
