"""Sockets that close themselves when connecting fails; paho leaves its own open."""

import contextlib
import socket
import ssl

from agent.mqtt_settings import MqttSettings


def open_unix_socket(path: str) -> socket.socket:
    """Connect to a Unix socket."""
    with contextlib.ExitStack() as on_error:
        opened = on_error.enter_context(socket.socket(socket.AF_UNIX))
        opened.connect(path)
        on_error.pop_all()
        return opened


def make_tls_context(settings: MqttSettings) -> ssl.SSLContext:
    """Build a context that checks the broker, and shows it our certificate if any.

    Raises:
        OSError: A file can't be read, or holds no certificate.
    """
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file, password="")
    context.sslsocket_class = _TLSSocket
    return context


class _TLSSocket(ssl.SSLSocket):
    """Closes itself when the hand-shake fails."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - ssl calls it so
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise
