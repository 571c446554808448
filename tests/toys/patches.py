"""A family in one file: the mean of word embeddings tints a convolution of noisy pixels."""

import hashlib
from pathlib import Path

import safetensors.torch
import torch
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import nn
from torch.nn import functional

from dti.encoders import PromptFrame
from dti.families.autoencoder import to_pictures
from dti.families.base import Family, LatentDistribution
from dti.families.flow import NoiseLevels, flow_loss
from dti.samplers import flow_schedule
from dti.tokens import SplicedInput, spliced

KNOWN = ("a", "photo", "of", "the", "dog", "cat", "stuffed", "animal", "on", "beach", "painting", "in", "red")
WORDS = ("?", "<s>", "</s>", "_", *KNOWN)
TOKENS, WIDTH = 48, 12
FRAME = PromptFrame((1,), (2,), 3, TOKENS)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(len(WORDS), WIDTH)
        self.places = nn.Parameter(torch.randn(TOKENS, WIDTH))
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, ids):
        return self.out(torch.tanh(self.words(ids) + self.places))


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.noise = nn.Conv2d(4, 3, 3, padding=1)
        self.colour = nn.Linear(WIDTH, 3)

    def forward(self, latents, times, words):
        time = (times / 1000).to(latents).view(-1, 1, 1, 1).expand(-1, 1, *latents.shape[2:])
        return latents + self.noise(torch.cat([latents, time], dim=1)) + 4 * self.colour(words)[:, :, None, None]


class Words:
    name, width, frame, negative_frame = "text_encoder", WIDTH, FRAME, FRAME

    def __init__(self, network):
        self.network = network
        self.vocabulary = network.words.weight
        self.tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="?"))
        self.tokenizer.pre_tokenizer = Whitespace()

    def text_ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    word_ids = text_ids

    def read(self, inputs):
        with spliced(self.network.words, inputs) as ids:
            states = self.network(ids)
        used = (ids != FRAME.padding).unsqueeze(-1)
        return states, (states * used).sum(dim=1) / used.sum(dim=1)

    @torch.no_grad()
    def output(self, ids):
        framed = [*FRAME.begin, *ids, *FRAME.end]
        padded = (*framed, *[FRAME.padding] * (TOKENS - len(framed)))
        return self.read([SplicedInput(padded, (), None, 1)])[0][0, 1 : 1 + len(ids)]


class Patches(Family):
    name = "toy"
    device, dtype, default_size_px, size_multiple_px = torch.device("cpu"), torch.float32, 32, 4

    def __init__(self, reader, denoiser, fingerprint):
        self.encoders = {"text_encoder": Words(reader)}
        self.fingerprint = fingerprint
        self._denoiser = denoiser

    @property
    def networks(self):
        return self.encoders["text_encoder"].network, self._denoiser

    @classmethod
    def load(cls, source, *, device, dtype=None, offload=False):  # noqa: ARG003 - always whole and on the CPU
        networks = Reader(), Denoiser()
        for number, network in enumerate(networks):
            network.requires_grad_(False)
            network.load_state_dict(safetensors.torch.load_file(Path(source) / f"{number}.safetensors"))
        weights = (Path(source) / "1.safetensors").read_bytes()
        return cls(*networks, hashlib.sha256(weights).hexdigest()[:16])

    def condition(self, prompts, views):  # noqa: ARG002 - no size conditioning
        return {"words": self.encoders["text_encoder"].read([prompt.inputs["text_encoder"] for prompt in prompts])[1]}

    def encode(self, pixels):
        return LatentDistribution(functional.avg_pool2d(pixels, 4), None)

    def decode(self, latents) -> list[Image.Image]:
        return to_pictures(functional.interpolate(latents, scale_factor=4))

    def latent_shape(self, width_px, height_px):
        return 3, height_px // 4, width_px // 4

    def loss(self, latents, weights, conditioning, generators):
        return flow_loss(self.predict, latents, weights, conditioning, generators=generators, levels=NoiseLevels())

    def predict(self, latents, times, conditioning):
        return self._denoiser(latents, times, conditioning["words"])

    def schedule(self, scheduler, steps, *, width, height):  # noqa: ARG002 - independent of the size
        return flow_schedule(scheduler, {}, steps)


def checkpoint(folder: Path) -> Path:
    """Write random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for number, network in enumerate((Reader(), Denoiser())):
            folder.mkdir(exist_ok=True)
            safetensors.torch.save_file(network.state_dict(), folder / f"{number}.safetensors")
    return folder
