"""Tokenized training prompts of one concept: templates and captions, each tokenized once."""

from collections.abc import Iterable, Mapping

from dti.encoders import TextEncoder
from dti.pictures import training_prompts
from dti.spec.prompts import parse_prompt
from dti.spec.settings import LearnableProperty
from dti.tokens import Placeholder, TokenizedPrompt, tokenize


class PromptCache:
    """Prompts with `{}` for the concept, tokenized on first use.

    Args:
        trigger: the concept's name.
        placeholder: reserves its positions.
        encoders: the family's encoders.
    """

    def __init__(self, trigger: str, placeholder: Placeholder, encoders: Mapping[str, TextEncoder]) -> None:
        self._trigger = trigger
        self._placeholder = placeholder
        self._encoders = encoders
        self._tokenized: dict[str, TokenizedPrompt] = {}

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

    def check(self, learnable_property: LearnableProperty, captions: Iterable[str | None]) -> None:
        """Tokenize every prompt that a training with these captions can draw; raises as `tokenized` does."""
        for caption in set(captions):
            for prompt in training_prompts(learnable_property, caption):
                self.tokenized(prompt)
