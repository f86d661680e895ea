"""The HTTP API and the console's files, served from the agent's own event loop."""
