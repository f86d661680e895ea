"""Bi-level compression: pure functions of one chunk's KV, one method per file."""
