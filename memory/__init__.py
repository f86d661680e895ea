"""KV in, KV out: compression, relevance, archive, re-hydration. No video, no model code."""
