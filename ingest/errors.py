"""What can go wrong with a camera, grouped by what its user can do about it.

    CameraError
    ├── AddressError (ValueError)  give up: the address or an option is malformed
    ├── CameraOpenError            retry: missing, refused, silent, not decodable
    │   └── NoVideoError           it opened, but there is no video in it
    ├── CameraLostError            retry: the stream broke or ended
    │   └── CameraStalledError     no new frame came for too long
    ├── ReaderCrashedError         retry: the process that reads the camera died
    └── ReaderTooLargeError        retry: it took more memory than it may

No message carries credentials: every address in one has passed `redact`.
"""

import re

_USER = re.compile(r"://\S*@")
_SECRET = re.compile(
    r"((?:pass\w*|pwd|psw|token|secret|key|auth\w*|credentials?|sig\w*|user\w*)=)[^&\s/;]*",
    re.IGNORECASE,
)


def redact(address: str) -> str:
    """Give an address (or a text with one in it) without user, password and tokens.

    It rather removes too much than too little: passwords of cameras often hold an
    unescaped `@`, and some take them in the path.
    """
    return _SECRET.sub(r"\1***", _USER.sub("://***@", address))


class CameraError(Exception):
    """Something is wrong with a camera.

    Attributes:
        address: Its address, redacted.
        reason: What went wrong, redacted.
    """

    def __init__(self, address: str, reason: str) -> None:
        self.address = redact(address)
        self.reason = redact(reason)
        super().__init__(f"{self.address}: {self.reason}")


class AddressError(CameraError, ValueError):
    """The address, or an option in it, is malformed."""


class CameraOpenError(CameraError):
    """The camera could not be opened."""


class NoVideoError(CameraOpenError):
    """What was opened has no video in it."""


class CameraLostError(CameraError):
    """The stream broke off."""


class CameraStalledError(CameraLostError):
    """The camera sent no new frame for too long.

    Attributes:
        silence_s: How long it was waited for.
    """

    def __init__(self, address: str, silence_s: float) -> None:
        self.silence_s = silence_s
        super().__init__(address, f"no new frame for {silence_s:g} s")


class ReaderCrashedError(CameraError):
    """The process that reads the camera died without a word.

    Attributes:
        exit_code: As subprocesses report it; negative is the signal that killed it.
    """

    def __init__(self, address: str, exit_code: int | None) -> None:
        self.exit_code = exit_code
        super().__init__(address, f"the reader process died (exit code {exit_code})")


class ReaderTooLargeError(CameraError):
    """The process that reads the camera took too much memory, and was ended."""

    def __init__(self, address: str) -> None:
        super().__init__(address, "the reader process took too much memory")
