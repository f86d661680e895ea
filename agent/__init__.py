"""Puts ingest and memory together and talks to the world."""
