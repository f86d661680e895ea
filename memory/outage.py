"""An archive that is away: noticed once, then asked again in one place only.

A server that hangs costs whoever asks it the whole time-out. So after one request went
unanswered nobody waits for it any more, neither a chunk nor a question, until it has
answered the task that carries the spool.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from memory.errors import ArchiveRefusesError, ArchiveUnavailableError

logger = logging.getLogger(__name__)


class Outage:
    """Whether the archive is away.

    Attributes:
        is_on: Whether it is.
    """

    def __init__(self) -> None:
        self.is_on = False

    def begin(self, why: ArchiveUnavailableError) -> None:
        """Note that the archive did not answer; one that refuses did."""
        if isinstance(why, ArchiveRefusesError):
            return
        if not self.is_on:
            logger.warning("the archive is away, it is asked again later: %s", why)
        self.is_on = True

    def end(self) -> None:
        """Note that it answers again."""
        if self.is_on:
            logger.info("the archive answers again")
        self.is_on = False

    @contextmanager
    def noticed(self) -> Iterator[None]:
        """Ask the archive within this, unless it is away.

        Raises:
            ArchiveUnavailableError: It is, or it just did not answer.
        """
        if self.is_on:
            raise ArchiveUnavailableError("the archive is away")
        try:
            yield
        except ArchiveUnavailableError as exc:
            self.begin(exc)
            raise
        self.end()
