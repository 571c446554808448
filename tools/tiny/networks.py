"""The shapes of the text model, the denoiser, the look encoder and the noise schedule, their start and their bounds.

It knows sizes, initial values and norms; training.py moves them, checkpoint.py writes them down.
"""

import itertools
from collections.abc import Iterator

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from torch.nn.functional import normalize
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from tools.tiny.autoencoder import CHANNELS
from tools.tiny.vocabulary import trained_ids

WIDTH = 128
LAYERS = 4
UNET_WIDTHS = (32, 64, 96)
ROW_NORM = 0.4
POSITION_NORM = 0.2
# Norms of the weights and biases that write to the residual stream. They hold the sum of the updates at 15 to 25 times
# the row's norm, as in a pretrained encoder: context enters the noun's state, and a row grown large keeps it out.
WRITER_CAPS = {"weight": 1.2, "bias": 0.4}
WRITERS = ("out_proj", "fc2")
LOOK_WIDTHS = (32, 64, 96)
LOOK_LIMIT = 1.5  # of a look's share in its row, where the noun's share is 1
LOOK_NOISE = 0.15


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
    hold_norms(text_model, rows.norm(dim=1, keepdim=True) > 0)
    return text_model


def embedding_tables(text_model: CLIPTextModel) -> tuple[torch.nn.Parameter, torch.nn.Parameter]:
    """Give the text model's table of tokens and its table of positions."""
    tables = dict(text_model.named_parameters())
    rows = next(value for name, value in tables.items() if name.endswith("token_embedding.weight"))
    positions = next(value for name, value in tables.items() if name.endswith("position_embedding.weight"))
    return rows, positions


@torch.no_grad()
def hold_norms(text_model: CLIPTextModel, used_rows: Tensor) -> None:
    """Keep all used rows at one norm, and every writer to the residual stream within its cap.

    Args:
        text_model: changed in place.
        used_rows: `(entries, 1)`, true for the rows that training may move.
    """
    rows = embedding_tables(text_model)[0]
    rows.copy_(torch.where(used_rows, ROW_NORM * normalize(rows), rows))
    for weight, cap in writers(text_model):
        weight.mul_((cap / weight.norm().clamp(min=1e-12)).clamp(max=1))


def writers(text_model: CLIPTextModel) -> Iterator[tuple[torch.nn.Parameter, float]]:
    """Give every weight and bias that writes to the residual stream, with its cap."""
    for name, weight in text_model.named_parameters():
        *_, layer, kind = name.split(".")
        if layer in WRITERS:
            yield weight, WRITER_CAPS[kind]


class LookEncoder(torch.nn.Module):
    """Turns the picture of a look into its word: a row beside the noun's, one for every look of the continuum.

    It takes part in training alone: the text model and the denoiser learn to read rows that no table holds, as a
    concept's rows will be. The bundled checkpoint goes without it.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = []
        for before, width in itertools.pairwise((4, *LOOK_WIDTHS)):
            layers += [torch.nn.Conv2d(before, width, 3, stride=2, padding=1), torch.nn.SiLU()]
        self.trunk = torch.nn.Sequential(*layers, torch.nn.Flatten())
        self.head = torch.nn.Linear(16 * LOOK_WIDTHS[-1], WIDTH)

    def forward(self, looks: Tensor, nouns: Tensor, noise: Tensor | None = None) -> Tensor:
        """Give the rows of looks.

        Args:
            looks: `(n, 4, 32, 32)`, RGBA in 0..1.
            nouns: `(n, width)`, rows of their nouns.
            noise: `(n, width)` of unit variance, for training: near rows then stand for near looks.

        Returns:
            `(n, width)`, of the same norm as every row of the table.
        """
        colours, opacity = looks[:, :3], looks[:, 3:]
        described = self.head(self.trunk(torch.cat([(2 * colours - 1) * opacity, opacity], dim=1)))
        moved = described * LOOK_LIMIT / (LOOK_LIMIT**2 + described.square().sum(1, keepdim=True)).sqrt()
        if noise is not None:
            moved = moved + noise * (LOOK_NOISE / WIDTH**0.5)
        return ROW_NORM * normalize(normalize(nouns) + moved)
