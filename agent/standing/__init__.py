"""Standing questions: asked of every new chunk, told of when the answer becomes yes."""
