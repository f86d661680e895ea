"""Find the retrieval heads of a model from made-up questions."""
