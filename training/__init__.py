"""How the built-in model was made: simulated cameras, two stages, one command."""
