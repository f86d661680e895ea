"""How the server listens, and who may do what."""

from dataclasses import dataclass, field

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Rights:
    """What somebody may do.

    Attributes:
        name: Who; empty where nobody is asked for a token.
        cameras: Those that may be seen; None is all.
        ask: Whether questions may be asked.
        watch: Whether standing questions may be set and removed.
        pause: Whether cameras may be paused and resumed.
    """

    name: str = ""
    cameras: frozenset[str] | None = None
    ask: bool = True
    watch: bool = True
    pause: bool = True

    def sees(self, camera: str) -> bool:
        """Tell whether a camera may be seen."""
        return self.cameras is None or camera in self.cameras


@dataclass(frozen=True, slots=True)
class Token:
    """A secret, and what whoever knows it may do."""

    secret: str = field(repr=False)
    rights: Rights


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How the server listens, and to whom.

    Attributes:
        host: Name or address to listen at.
        port: Where; 0 is any free one.
        tokens: Who may do what; none is everybody on this machine everything.
        requests_per_minute: Of each token, or of each address without one; None is no
            limit.
        cert_file: Its certificate and those it is signed by, PEM, with its key if
            `key_file` is None; None is HTTP without TLS.
        key_file: The key of `cert_file`, without a passphrase.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    tokens: tuple[Token, ...] = ()
    requests_per_minute: int | None = 1200
    cert_file: str | None = None
    key_file: str | None = None

    def __post_init__(self) -> None:
        if not self.tokens and self.host not in LOOPBACK:
            raise ValueError(f"listening at {self.host} needs a token")


def url_of(host: str, port: int, *, is_secure: bool) -> str:
    """Write where a server is."""
    scheme = "https" if is_secure else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
