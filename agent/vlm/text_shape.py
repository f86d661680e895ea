"""The sizes of the language model inside a vision-language model."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TextShape:
    """The sizes of a language model, by their names in its configuration."""

    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int

    @property
    def groups(self) -> int:
        """Query heads per key-value head."""
        return self.num_attention_heads // self.num_key_value_heads


def text_config(config: Any) -> TextShape:
    """Give the sizes of the language model of a configuration."""
    part = config.text_config
    heads = part.num_attention_heads
    return TextShape(
        part.num_hidden_layers,
        heads,
        getattr(part, "num_key_value_heads", None) or heads,
        getattr(part, "head_dim", None) or part.hidden_size // heads,
    )
