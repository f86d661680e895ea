"""KV in, KV out: compression, archive, relevance, re-hydration. No video, no model."""
