"""Check a model on the machine that is to run it: what `longwatch doctor` does."""
