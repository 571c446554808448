"""Tokenized training prompts of one concept: templates and captions, each tokenized once."""

from collections.abc import Iterable, Mapping

import torch

from dti.encoders import TextEncoder
from dti.errors import PromptTooLongError
from dti.spec.prompts import parse_prompt
from dti.spec.settings import LearnableProperty
from dti.spec.templates import training_prompts
from dti.tokens import Placeholder, TokenizedPrompt, tokenize


class PromptCache:
    """Prompts with `{}` for the concept, tokenized on first use.

    Args:
        trigger: the concept's name.
        placeholder: reserves its positions.
        encoders: the family's encoders.
        learnable_property: selects the templates.
    """

    def __init__(
        self,
        trigger: str,
        placeholder: Placeholder,
        encoders: Mapping[str, TextEncoder],
        learnable_property: LearnableProperty,
    ) -> None:
        self._trigger = trigger
        self._placeholder = placeholder
        self._encoders = encoders
        self._learnable_property = learnable_property
        self._tokenized: dict[str, TokenizedPrompt] = {}
        self._choices: dict[str | None, tuple[str, ...]] = {}

    def tokenized(self, prompt: str) -> TokenizedPrompt:
        """The tokenized prompt.

        Raises:
            UnknownTriggerError: the prompt names another concept.
            PromptTooLongError: the tokens do not fit an encoder.
        """
        if prompt not in self._tokenized:
            pieces = parse_prompt(prompt.replace("{}", f"<{self._trigger}>"))
            self._tokenized[prompt] = tokenize(pieces, self._encoders, {self._trigger: self._placeholder})
        return self._tokenized[prompt]

    def draw(self, caption: str | None, generator: torch.Generator) -> TokenizedPrompt:
        """A random one of the prompts that fit.

        Args:
            caption: of the picture.
            generator: CPU generator; used only if there are several prompts.
        """
        choices = self._fitting(caption)
        index = int(torch.randint(len(choices), (), generator=generator)) if len(choices) > 1 else 0
        return self.tokenized(choices[index])

    def check(self, captions: Iterable[str | None]) -> None:
        """Tokenize every prompt that a training with these captions can draw; raises as `tokenized` does."""
        for caption in set(captions):
            for prompt in self._fitting(caption):
                self.tokenized(prompt)

    def _fitting(self, caption: str | None) -> tuple[str, ...]:
        if caption not in self._choices:
            self._choices[caption] = training_prompts(self._learnable_property, caption, self._fits)
        return self._choices[caption]

    def _fits(self, prompt: str) -> bool:
        try:
            self.tokenized(prompt)
        except PromptTooLongError:
            return False
        return True
