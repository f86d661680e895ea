"""The only user of transformers: stock vision-language models behind one class."""

import logging

# Importing transformers imports torchao where it is installed, and these warn then, or
# at the first use, of kernels that are not needed here.
for _name in ("torchao", "torch.utils._pytree", "bitsandbytes.backends.cpu.ops"):
    logging.getLogger(_name).setLevel(logging.ERROR)
