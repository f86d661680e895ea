"""The benchmark of what hardly changed, on a clip whose changes are known."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks import change


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two chunks: the first one still, the second one with a corner that blinks."""
    path = tmp_path / "corner.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(1))
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        for number in range(16):
            pixels = np.full((64, 128, 3), 90, np.uint8)
            pixels[:32, :32] = 240 if number >= 8 and number % 4 < 2 else 90
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode(None))
    return path


def test_left_out_is_what_did_not_change(clip: Path) -> None:
    rows = {
        row["least_change"]: row
        for row in change.measure(change.make_model(), [clip], 1)
    }
    assert rows[0.0]["left_out"] == 0
    still, blinking = 24 / 32, 21 / 32  # of 4 pairs of 2 x 4 tokens
    assert rows[0.05]["left_out_to"] == pytest.approx(still, abs=1e-3)
    assert rows[0.05]["left_out_from"] == pytest.approx(blinking, abs=1e-3)
    assert rows[0.05]["chunks"] == 2


def test_a_folder_without_clips_ends_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["change", "--videos", str(tmp_path / "none")]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit):
        change.main()
    assert "no .mp4" in capsys.readouterr().err
