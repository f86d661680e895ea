"""A transformers cache over composed `MixedCache`s, without copying them.

A stock `DynamicCache` concatenates, so each decoded token copies the whole cache; here
a token is written into the room behind it.
"""

from typing import Any

from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer


class _Layer(DynamicLayer):
    """One layer of a batch of mixed caches; appends in place."""

    def __init__(self, keys: Tensor, values: Tensor, num_tokens: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # transformers: untyped
        self._keys, self._values = keys, values  # (B, H, capacity, D)
        self.dtype, self.device = keys.dtype, keys.device
        self._show(num_tokens)
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write (B, H, S, D) behind what is there and give back all of it."""
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        if end > self._keys.shape[2]:
            raise ValueError(
                f"the cache has room for {self._keys.shape[2]} tokens, not {end}"
            )
        self._keys[:, :, start:end] = key_states
        self._values[:, :, start:end] = value_states
        return self._show(end)

    def get_seq_length(self) -> int:
        """Give the tokens filled."""
        return self._num_tokens

    def _show(self, num_tokens: int) -> tuple[Tensor, Tensor]:
        self._num_tokens = num_tokens
        keys = self._keys[:, :, :num_tokens]  # (B, H, S, D)
        values = self._values[:, :, :num_tokens]  # (B, H, S, D)
        self.keys, self.values = keys, values
        return keys, values


def as_transformers_cache(keys: Tensor, values: Tensor, num_tokens: int) -> Cache:
    """Wrap keys and values; what a model adds is written into these very tensors.

    Args:
        keys: Post-RoPE, (L, B, H, capacity, D), of B readers.
        values: (L, B, H, capacity, D).
        num_tokens: Tokens filled, of every reader alike.
    """
    layers = zip(keys, values, strict=True)
    return Cache(layers=[_Layer(k, v, num_tokens) for k, v in layers])
