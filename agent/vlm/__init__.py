"""The only user of transformers: stock vision-language models behind one class."""
