"""The shapes of the text model, the denoiser and the noise schedule, and how they begin.

It knows sizes and initial values; training.py moves them, checkpoint.py writes them down.
"""

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from tools.tiny.autoencoder import CHANNELS
from tools.tiny.vocabulary import trained_ids

WIDTH = 128
LAYERS = 4
UNET_WIDTHS = (32, 64, 96)
ROW_NORM = 0.4
POSITION_NORM = 0.2
UPDATE_NORM_CAP = 0.5  # of the matrices that write to the residual stream: a large row must be able to dominate it


def build_scheduler() -> DDIMScheduler:
    """Build the noise schedule: linear, so that the last step holds next to nothing of the picture."""
    return DDIMScheduler(
        beta_schedule="linear",
        prediction_type="v_prediction",
        clip_sample=False,
        timestep_spacing="trailing",
        steps_offset=1,
    )


def build_denoiser() -> UNet2DConditionModel:
    """Build the untrained denoiser for latents of 16 by 16."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        block_out_channels=UNET_WIDTHS,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
    )


def build_text_model(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Build the untrained text model; rows of tokens that no caption uses are zero and stay so."""
    text_model = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    rows, positions = embedding_tables(text_model)
    with torch.no_grad():
        rows.zero_()
        used = trained_ids(tokenizer)
        rows[used] = torch.randn(len(used), WIDTH) * (ROW_NORM / WIDTH**0.5)
        positions.normal_(0, POSITION_NORM / WIDTH**0.5)
    cap_updates(text_model)
    return text_model


def embedding_tables(text_model: CLIPTextModel) -> tuple[torch.nn.Parameter, torch.nn.Parameter]:
    """Give the text model's table of tokens and its table of positions."""
    tables = dict(text_model.named_parameters())
    rows = next(value for name, value in tables.items() if name.endswith("token_embedding.weight"))
    positions = next(value for name, value in tables.items() if name.endswith("position_embedding.weight"))
    return rows, positions


@torch.no_grad()
def cap_updates(text_model: CLIPTextModel) -> None:
    """Hold every matrix that writes to the residual stream at a small norm, as in a pretrained pre-norm encoder."""
    for name, weight in text_model.named_parameters():
        if name.endswith(("out_proj.weight", "fc2.weight")):
            weight.mul_((UPDATE_NORM_CAP / weight.norm()).clamp(max=1))
