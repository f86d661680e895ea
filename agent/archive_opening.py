"""The archive as the config names it: for the agent, and for commands about it."""

from agent.config_servers import ArchiveConfig
from memory.redis_archive import RedisArchive
from memory.retention import Limits


def archive_of(config: ArchiveConfig, url: str, model: str) -> RedisArchive:
    """Build the archive of a model's chunks.

    L-KV lives twice as long as a chunk is kept, so that it ends by itself only where no
    agent is left to forget it.

    Args:
        config: The section of the config file.
        url: Where its server is: what the config says, or the embedded one's.
        model: Fingerprint of the model.
    """
    return RedisArchive(
        url,
        model=model,
        prefix=config.prefix,
        timeout_s=config.timeout_s,
        low_ttl_s=2 * config.retention_s,
    )


def limits_of(config: ArchiveConfig) -> Limits:
    """Build what the archive may hold, apart from age."""
    return Limits(total=config.max_bytes, per_camera=config.max_bytes_per_camera)
