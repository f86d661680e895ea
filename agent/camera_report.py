"""One camera's state as it is published, retained, on `<prefix>/<camera>/status`."""

from datetime import UTC, datetime

from agent.vlm.model import VisionLanguageModel
from agent.watcher import Watcher


def report_camera(watcher: Watcher, model: VisionLanguageModel) -> dict[str, object]:
    """Give what an operator wants to know of a camera, ready for JSON."""
    status, counts = watcher.source.status, watcher.counts
    last = status.last_frame_s
    return {
        "state": status.state.value,
        "last_frame": None if last is None else _iso(last),
        "error": status.error,
        "reconnects": status.reconnects,
        "dropped": status.dropped_chunks,
        "when_behind": watcher.source.settings.hand_off.value,
        "chunks": counts.chunks,
        "last_chunk": counts.last_chunk,
        "tokens_in": counts.tokens_in,
        "tokens_left_out": counts.tokens_left_out,
        "tokens_h": counts.tokens_h,
        "tokens_l": counts.tokens_l,
        "bytes_h": counts.bytes_h,
        "bytes_l": counts.bytes_l,
        "spooled": counts.spooled,
        "spool_dropped": watcher.store.spool.dropped,
        "archive_is_away": watcher.store.outage.is_on,
        "lost": counts.lost,
        "prefill_ms": round(counts.prefill_ms, 1),
        "resident_tokens": watcher.store.resident.num_tokens,
        "loaded": round(watcher.store.loading.share, 2),
        "fallbacks": watcher.store.fallbacks,
        "model": model.name,
        "model_is_trained": model.is_trained,
    }


def _iso(time_s: float) -> str:
    moment = datetime.fromtimestamp(time_s, UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
