"""Simulated cameras: seeded worlds that any moment of can be rendered and told."""
