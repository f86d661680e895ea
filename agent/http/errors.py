"""What a request can end in, other than what was asked for.

ApiError         tell the client: a status, a code for programs, a message for people
HttpStartError   give up: the server can't listen
"""

from collections.abc import Mapping

from agent.errors import AgentError


class ApiError(AgentError):
    """Raised when a request is refused or can't be done; becomes the response."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})
        super().__init__(message)


class HttpStartError(AgentError):
    """Raised when the server can't listen, mostly because of a taken port."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host, self.port, self.reason = host, port, reason
        super().__init__(f"can't serve HTTP at {host} port {port}: {reason}")


def unknown_camera(name: str) -> ApiError:
    """Build the error for a camera that is not there, or may not be seen."""
    return ApiError(404, "unknown_camera", f"no camera {name[:64]!a}")


def not_allowed(what: str) -> ApiError:
    """Build the error for something that a token is not good for."""
    return ApiError(403, "not_allowed", f"this token may not {what}")
