"""What attention looks for: the queries of a stock class before RoPE."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from agent.vlm.text_shape import text_config


@contextmanager
def captured_queries(module: Any, layers: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    """Capture the queries of one reader before RoPE while the module runs.

    Args:
        module: The stock class.
        layers: Of which layers; one may be named more than once.

    Yields:
        Per layer (1, T, heads, D), filled when the module has run.
    """
    captured: dict[int, Tensor] = {}
    blocks = module.get_decoder().layers
    size = text_config(module.config).head_dim

    def capture(layer: int) -> RemovableHandle:
        attention = blocks[layer].self_attn
        last: nn.Module = getattr(attention, "q_norm", attention.q_proj)
        return last.register_forward_hook(
            lambda _module, _inputs, output: captured.update(
                {layer: output.view(1, output.shape[1], -1, size)}
            )
        )

    hooks = [capture(layer) for layer in set(layers)]
    try:
        yield captured
    finally:
        for hook in hooks:
            hook.remove()
