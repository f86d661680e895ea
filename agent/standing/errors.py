"""What can go wrong with standing questions, grouped by what the caller can do.

StandingError
├── InvalidStandingError      tell who sets it: it can't be read
├── TooManyStandingError      tell who sets it: remove one first
├── UnknownStandingError      tell who removes it: there is none of that name
└── CorruptStandingError      begin anew: the file that keeps them does not make sense
"""

from agent.errors import AgentError


class StandingError(AgentError):
    """Base of all errors of this package."""


class InvalidStandingError(StandingError, ValueError):
    """Raised when a standing question can't be read; `code` is for programs."""

    def __init__(self, code: str, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason)


class TooManyStandingError(StandingError):
    """Raised when a camera has as many standing questions as it may have."""

    code = "too_many"

    def __init__(self, camera: str, most: int) -> None:
        self.camera, self.most = camera, most
        super().__init__(f"camera {camera} has {most} standing questions already")


class UnknownStandingError(StandingError, LookupError):
    """Raised when a camera has no standing question of a name."""

    code = "unknown_watch"

    def __init__(self, camera: str, name: str) -> None:
        self.camera, self.name = camera, name
        super().__init__(f"camera {camera} has no standing question {name!a}")


class CorruptStandingError(StandingError, ValueError):
    """Raised when the file that keeps standing questions does not make sense."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path} can't be read: {reason}")
