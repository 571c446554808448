"""Judges: likeness to the references and obedience to the prompt, as numbers per picture.

A judge is named in the manifest by a name of `SOURCES` or by its import path "module:Class". DINOv2, SigLIP and CLIP
are loaded by transformers from a folder or the Hub.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from dti.errors import StudyError
from dti.pictures import flatten
from dti.study.manifest import Concept, JudgeRef

BATCH = 16


@dataclass(frozen=True, slots=True)
class Request:
    """A picture's prompt: the text with the class word in place of the concept, and the attributes asked for."""

    text: str
    asks: Mapping[str, str]


class Judge(Protocol):
    """A judge of pictures.

    Attributes:
        version: identifies weights and preprocessing.
        axes: metric of "likeness" and of "obedience", where the judge has them.
    """

    version: str
    axes: Mapping[str, str]

    def begin(self, concept: Concept, references: Sequence[Image.Image]) -> None:
        """Start with a concept; its references have their masks as alpha channels."""

    def score(self, pictures: Sequence[Image.Image], requests: Sequence[Request]) -> list[dict[str, float]]:
        """Metrics of pictures of the concept, one dictionary per picture."""


class ImageFeatures:
    """Similarity of image features to the references: the mean cosine over references, as in DreamBench.

    References are compared as they are and with their background removed.
    """

    def __init__(self, source: str, prefix: str, device: str) -> None:
        """Load the network.

        Args:
            source: folder or Hub id of a vision model of transformers.
            prefix: of the metrics' names.
            device: torch device.
        """
        from transformers import AutoImageProcessor, AutoModel  # noqa: PLC0415 - heavy; other judges do without

        self.version = source
        self.axes: Mapping[str, str] = {"likeness": f"{prefix}_image"}
        self._prefix = prefix
        self._processor = AutoImageProcessor.from_pretrained(source)
        self._model: Any = AutoModel.from_pretrained(source).to(device).eval().requires_grad_(requires_grad=False)
        self._references: dict[str, Tensor] = {}

    @torch.inference_mode()
    def features(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Unit features `(n, d)`."""
        parts = []
        for start in range(0, len(pictures), BATCH):
            flat = [flatten(picture) for picture in pictures[start : start + BATCH]]
            inputs = self._processor(images=flat, return_tensors="pt").to(self._model.device)
            parts.append(normalize(self._pooled(inputs["pixel_values"]), dim=-1).float().cpu())
        return torch.cat(parts)

    def _pooled(self, pixels: Tensor) -> Tensor:
        if hasattr(self._model, "get_image_features"):
            outputs = self._model.get_image_features(pixel_values=pixels)
            return outputs if isinstance(outputs, Tensor) else outputs.pooler_output
        # DINOv2 is compared by its class token after the last norm, as in DreamBooth's evaluation.
        hidden: Tensor = self._model(pixel_values=pixels).last_hidden_state
        return hidden[:, 0]

    def begin(self, concept: Concept, references: Sequence[Image.Image]) -> None:
        """Describe the references."""
        del concept
        opaque = [picture.convert("RGB") for picture in references]
        self._references = {f"{self._prefix}_image": self.features(opaque)}
        if any(picture.has_transparency_data for picture in references):
            self._references[f"{self._prefix}_image_masked"] = self.features(references)

    def score(self, pictures: Sequence[Image.Image], requests: Sequence[Request]) -> list[dict[str, float]]:
        """Mean cosine to the references."""
        del requests
        features = self.features(pictures)
        columns = {name: (features @ known.T).mean(1).tolist() for name, known in self._references.items()}
        return [{name: values[row] for name, values in columns.items()} for row in range(len(pictures))]


class TextImage(ImageFeatures):
    """Agreement of picture and prompt by a contrastive model, beside the similarity of image features.

    Cosine and logit; with SigLIP also the sigmoid of the logit, whose mean is the paper's text score.
    """

    def __init__(self, source: str, prefix: str, device: str, *, sigmoid: bool) -> None:
        """Load the network.

        Args:
            source: folder or Hub id of a CLIP or SigLIP model.
            prefix: of the metrics' names.
            device: torch device.
            sigmoid: whether the logit is that of a sigmoid.
        """
        from transformers import AutoTokenizer  # noqa: PLC0415 - heavy; other judges do without

        super().__init__(source, prefix, device)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(source)
        self._sigmoid = sigmoid
        self.axes = {"obedience": f"{prefix}_sigmoid" if sigmoid else f"{prefix}_text"}

    def score(self, pictures: Sequence[Image.Image], requests: Sequence[Request]) -> list[dict[str, float]]:
        """Similarity to the references, and agreement with each picture's own prompt."""
        rows = super().score(pictures, requests)
        texts = self._texts([request.text for request in requests])
        cosines = cosine_similarity(self.features(pictures), texts)
        scale = float(self._model.logit_scale.exp())
        bias = float(self._model.logit_bias) if self._sigmoid else 0.0
        for row, cosine in zip(rows, cosines.tolist(), strict=True):
            logit = scale * cosine + bias
            row |= {f"{self._prefix}_text": cosine, f"{self._prefix}_logit": logit}
            if self._sigmoid:
                row[f"{self._prefix}_sigmoid"] = float(torch.tensor(logit).sigmoid())
        return rows

    @torch.inference_mode()
    def _texts(self, texts: Sequence[str]) -> Tensor:
        limit = self._model.config.text_config.max_position_embeddings
        inputs = self._tokenizer(
            list(texts), padding="max_length", max_length=limit, truncation=True, return_tensors="pt"
        ).to(self._model.device)
        # SigLIP was trained without an attention mask: padding is part of its text.
        mask = {} if self._sigmoid else {"attention_mask": inputs["attention_mask"]}
        outputs = self._model.get_text_features(input_ids=inputs["input_ids"], **mask)
        features = outputs if isinstance(outputs, Tensor) else outputs.pooler_output
        return normalize(features, dim=-1).float().cpu()


SOURCES = {
    "dinov2": "facebook/dinov2-base",
    "siglip": "google/siglip-so400m-patch14-384",
    "clip": "openai/clip-vit-base-patch32",
}
"""Judges of real pictures by name, with their Hub ids."""


def open_judge(name: str, device: str = "cpu") -> Judge:
    """A judge of `SOURCES`, or an import path "module:Class".

    Args:
        name: such as "dinov2", or "dinov2=/models/dinov2" for other weights of the same kind.
        device: torch device.

    Raises:
        StudyError: there is no such judge.
    """
    kind, _, source = name.partition("=")
    if kind in SOURCES:
        chosen = source or SOURCES[kind]
        if kind == "dinov2":
            return ImageFeatures(chosen, kind, device)
        return TextImage(chosen, kind, device, sigmoid=kind == "siglip")
    module, separator, attribute = name.partition(":")
    if not separator:
        raise StudyError(
            f"There is no judge {name!r}. Choose one of {', '.join(SOURCES)}, or name a class as module:Class."
        )
    try:
        judge: Judge = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError) as error:
        raise StudyError(f"The judge {name!r} cannot be imported: {error}.") from error
    return judge


def reopen_judge(ref: JudgeRef, device: str = "cpu") -> Judge:
    """The judge of a manifest.

    Raises:
        StudyError: its version is not the manifest's.
    """
    judge = open_judge(ref.name, device)
    if judge.version != ref.version:
        raise StudyError(
            f"The study was frozen with version {ref.version} of the judge {ref.name}; this one has {judge.version}."
        )
    return judge
