"""The files of a model: a local folder or a repository of the hub, read alike."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoTokenizer,
    PreTrainedTokenizerBase,
)
from transformers.utils.hub import cached_file
from transformers.utils.import_utils import is_accelerate_available

_PROCESSOR_FILES = (
    ("video_preprocessor_config.json", None),
    ("preprocessor_config.json", None),
    ("processor_config.json", "video_processor"),
    ("processor_config.json", "image_processor"),
)


@dataclass(frozen=True, slots=True)
class Repository:
    """Where a model's files are.

    Attributes:
        name: A local folder, or a hub repository.
        revision: Branch, tag or commit of the hub repository; None: its main branch.
        cache_folder: Where downloads are kept; None: where the hub library keeps them.
        offline: Whether to read only what is on this machine.
    """

    name: str
    revision: str | None = None
    cache_folder: Path | None = None
    offline: bool = False

    def config(self) -> Any:
        """Read the model's configuration.

        A RoPE of type `dynamic`, such as InternVL3's, is the plain one up to the length
        that the model was trained for, and changes with length behind it. Stored keys
        outlive one length, so the plain one is kept throughout (decision 0007).

        Raises:
            OSError: It is not there.
            ValueError: It is none, or its RoPE or attention can't be kept in memory.
        """
        if self._is_path and not Path(self.name).is_dir():
            raise FileNotFoundError("there is no such folder")
        try:
            config = AutoConfig.from_pretrained(self.name, **self._options())
        except StrictDataclassError as exc:
            raise ValueError(str(exc)) from exc
        text: Any = getattr(config, "text_config", None)
        rope = getattr(text, "rope_parameters", None) or {}
        if rope.get("rope_type") == "dynamic":
            plain = {key: rope[key] for key in rope if key not in {"factor", "type"}}
            text.rope_parameters = plain | {"rope_type": "default"}
        elif rope.get("rope_type") == "longrope":
            raise ValueError("RoPE of type longrope changes with length: not supported")
        if "sliding_attention" in (getattr(text, "layer_types", None) or ()):
            raise ValueError("attention over a sliding window is not supported")
        return config

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Read the tokenizer, with the chat template where it lies beside it.

        Raises:
            OSError: It is not there.
        """
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            self.name, **self._options()
        )
        if tokenizer.chat_template is None:
            beside = self._json("chat_template.json") or {}
            tokenizer.chat_template = beside.get("chat_template")
        return tokenizer

    def module(
        self,
        config: Any,
        device: str,
        dtype: torch.dtype,
        attention: str | None,
        quantisation: Any,
    ) -> Any:
        """Load the weights into the stock class, on one device.

        With `accelerate` installed they go straight there; else by way of the host.

        Args:
            config: As `config` gives it.
            device: The one device they all go to.
            dtype: What they are held in.
            attention: Implementation of attention; None: the library's choice.
            quantisation: What it quantises by, or None.

        Raises:
            OSError: They are not there.
            ValueError: They can't be loaded so.
            ImportError: The implementation of attention is not installed.
        """
        straight = {"device_map": {"": device}} if is_accelerate_available() else {}
        module = AutoModelForImageTextToText.from_pretrained(
            self.name,
            config=config,
            dtype=dtype,
            attn_implementation=attention,
            quantization_config=quantisation,
            **straight,
            **self._options(),
        )
        return nn.Module.to(module, device)  # in place, unlike a tensor's

    def processor_facts(self) -> dict[str, Any]:
        """Read the preprocessing without building its processor of torchvision.

        Raises:
            ValueError: None of the files that hold it is there.
        """
        for file, part in _PROCESSOR_FILES:
            facts = self._json(file) or {}
            found = facts if part is None else facts.get(part)
            if found:
                return dict(found)
        names = dict.fromkeys(file for file, _ in _PROCESSOR_FILES)
        raise ValueError(f"it has none of {', '.join(names)}")

    @property
    def _is_path(self) -> bool:
        """Tell a path from a repository, which is `owner/name` or a name alone."""
        return self.name.startswith((".", "~", "/")) or self.name.count("/") > 1

    def _json(self, file: str) -> dict[str, Any] | None:
        path = cached_file(
            self.name,
            file,
            **self._options(),
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        if path is None:
            return None
        body: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        return body

    def _options(self) -> dict[str, Any]:
        return {
            "revision": self.revision or "main",
            "cache_dir": self.cache_folder,
            "local_files_only": self.offline,
        }
