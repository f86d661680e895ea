"""Camera to chunks of frames: PyAV and numpy, no torch, no servers."""
