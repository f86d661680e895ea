"""The only user of transformers: stock vision-language models behind one class."""

import logging

# Importing transformers imports torchao where it is installed, and these warn then, or
# at the first use, of kernels that are not needed here.
for _name in ("torchao", "torch.utils._pytree", "bitsandbytes.backends.cpu.ops"):
    logging.getLogger(_name).setLevel(logging.ERROR)

import transformers  # noqa: E402, F401 - for the handlers that it makes

# What these two say goes where everything else goes, and only there.
for _name in ("transformers", "huggingface_hub"):
    logging.getLogger(_name).handlers.clear()
    logging.getLogger(_name).setLevel(logging.WARNING)
    logging.getLogger(_name).propagate = True
