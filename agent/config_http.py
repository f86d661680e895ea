"""The section of the config file about the HTTP API: where, and who may do what."""

import re
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from agent.config_sections import CameraName, ExistingFile, Section
from agent.http.settings import LOOPBACK, HttpSettings, Rights, Token, url_of

_SECRET = re.compile(r"[A-Za-z0-9._~+/-]{16,256}=*")  # RFC 6750 allows these
_SECRET_WORDS = "16 to 256 letters, digits or - . _ ~ + /"


class TokenConfig(Section):
    """A token, and what whoever has it may do."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = Field(
        description="what it is told apart by"
    )
    token: SecretStr = Field(description="the secret")
    cameras: list[CameraName] | None = Field(
        default=None, description="those that may be seen; null: all"
    )
    ask: bool = Field(default=True, description="whether questions may be asked")
    watch: bool = Field(
        default=False, description="whether standing questions may be set and removed"
    )
    pause: bool = Field(default=False, description="whether cameras may be paused")

    @field_validator("token", mode="before")
    @classmethod
    def _is_hard_to_guess(cls, secret: object) -> object:
        """Judge it before anybody else does, who might show it."""
        text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
        if not isinstance(text, str) or not _SECRET.fullmatch(text):
            raise ValueError(f"found something else, allowed: {_SECRET_WORDS}")
        return secret

    def build(self) -> Token:
        """Build what the server compares with."""
        cameras = None if self.cameras is None else frozenset(self.cameras)
        rights = Rights(self.name, cameras, self.ask, self.watch, self.pause)
        return Token(self.token.get_secret_value(), rights)


class HttpConfig(Section):
    """The HTTP API and the console."""

    enabled: bool = Field(default=True, description="whether there is one")
    host: str = Field(
        default="127.0.0.1", min_length=1, description="name or address to listen at"
    )
    port: int = Field(
        default=8080, ge=0, le=65535, description="where to listen, 0 for a free one"
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        description="what links in answers begin with; null: where it listens",
    )
    cert_file: ExistingFile | None = Field(
        default=None, description="its certificate, for https; null: http"
    )
    key_file: ExistingFile | None = Field(
        default=None, description="its key; null: in the same file"
    )
    tokens: list[TokenConfig] = Field(
        default=[], max_length=256, description="who may do what"
    )
    requests_per_minute: int | None = Field(
        default=1200, ge=1, le=600_000, description="of each token; null: no limit"
    )

    @field_validator("tokens", mode="before")
    @classmethod
    def _are_sections(cls, tokens: Any) -> Any:
        """A secret in the wrong place must not be shown as what was found there."""
        is_list = isinstance(tokens, list)
        if not is_list or not all(isinstance(t, dict | TokenConfig) for t in tokens):
            raise ValueError("found something else, allowed: a list of sections")
        return tokens

    @field_validator("tokens")
    @classmethod
    def _fit(cls, tokens: list[TokenConfig], info: ValidationInfo) -> list[TokenConfig]:
        for what in ("name", "token"):
            if len({getattr(token, what) for token in tokens}) < len(tokens):
                raise ValueError(f"found a {what} twice, allowed: each once")
        host = info.data.get("host")
        if host is not None and host not in LOOPBACK and not tokens:
            allowed = f"a token, or host {' or '.join(sorted(LOOPBACK))}"
            if info.data.get("enabled", True):
                raise ValueError(f"found none for host {host}, allowed: {allowed}")
        return tokens

    @field_validator("key_file")
    @classmethod
    def _has_certificate(cls, file: str | None, info: ValidationInfo) -> str | None:
        if file is not None and info.data.get("cert_file") is None:
            raise ValueError("found it alone, allowed: with cert_file")
        return file

    def url_at(self, host: str) -> str:
        """Give where it is reached by a name or an address of this machine."""
        return url_of(host, self.port, is_secure=self.cert_file is not None)

    def links_base(self) -> str | None:
        """Give what links in answers begin with; None if there can be none."""
        if not self.enabled:
            return None
        if self.public_url is not None:
            return self.public_url.rstrip("/")
        return self.url_at(self.host) if self.port else None

    def settings(self) -> HttpSettings | None:
        """Build what the server listens by; None if there is to be none."""
        if not self.enabled:
            return None
        tokens = tuple(token.build() for token in self.tokens)
        return HttpSettings(
            self.host,
            self.port,
            tokens,
            self.requests_per_minute,
            self.cert_file,
            self.key_file,
        )
