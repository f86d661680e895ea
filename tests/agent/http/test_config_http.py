from pathlib import Path
from typing import Any

import pytest

from agent.config import Config, load_config
from agent.errors import ConfigError
from agent.http.settings import HttpSettings, Rights, Token

CAMERA = 'cameras:\n  door:\n    address: "simulated:seed=1"\n'
SECRET = "hush-" * 4


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def load_text(text: str, **environment: str) -> Config:
        path = tmp_path / "longwatch.yaml"
        path.write_text(CAMERA + text, encoding="utf-8")
        return load_config(path, environment)

    return load_text


def test_without_a_section_it_is_for_this_machine_alone(load: Any):
    assert load("").http.settings() == HttpSettings("127.0.0.1", 8080, (), 1200)
    assert load("http: {enabled: false, host: 0.0.0.0}").http.settings() is None


def test_tokens_are_read_from_files_and_the_environment(load: Any, tmp_path: Path):
    (tmp_path / "token").write_text(SECRET + "\n")
    text = (
        "http:\n  host: 0.0.0.0\n  tokens:\n"
        f"    - {{name: all, token: '${{file:{tmp_path}/token}}', pause: true}}\n"
        "    - {name: few, token: '${TOKEN}', cameras: [door], ask: false}\n"
    )
    settings = load(text, TOKEN="y" * 16).http.settings()
    assert settings.tokens == (
        Token(SECRET, Rights("all", None, ask=True, watch=False, pause=True)),
        Token(
            "y" * 16,
            Rights("few", frozenset({"door"}), ask=False, watch=False, pause=False),
        ),
    )
    assert SECRET not in repr(settings)


def test_with_a_certificate_links_are_https(load: Any, tmp_path: Path):
    pem = tmp_path / "both.pem"
    pem.touch()
    http = load(f"http: {{cert_file: {pem}}}").http
    assert (http.settings().cert_file, http.settings().key_file) == (str(pem), None)
    assert http.links_base() == "https://127.0.0.1:8080"
    with pytest.raises(ConfigError, match="found it alone, allowed: with cert_file"):
        load(f"http: {{key_file: {pem}}}")


def token(**fields: str) -> str:
    given = {"name": "a", "token": SECRET, **fields}
    return "{" + ", ".join(f"{key}: {value}" for key, value in given.items()) + "}"


@pytest.mark.parametrize(
    ("section", "key", "words"),
    [
        ("{host: 0.0.0.0}", "http.tokens", ["none for host 0.0.0.0", "a token"]),
        ("{port: 99999}", "http.port", ["99999", "from 0 to 65535"]),
        ("{cert_file: nope.pem}", "http.cert_file", ["nope.pem", "exists"]),
        (f"{{tokens: {SECRET}}}", "http.tokens", ["a list of sections"]),
        (f"{{tokens: [{SECRET}]}}", "http.tokens", ["a list of sections"]),
        (f"{{tokens: [{token(token='hush')}]}}", "http.tokens.0.token", ["16 to 256"]),
        (f"{{tokens: [{token(token='123456789012345678')}]}}", "", ["something else"]),
        (f"{{tokens: [{token(token='[hush]')}]}}", "", ["something else"]),
        (f"{{tokens: [{token(name='b c')}]}}", "http.tokens.0.name", ["b c"]),
        (f"{{tokens: [{token()}, {token(name='b')}]}}", "http.tokens", ["token twice"]),
        (
            f"{{tokens: [{token()}, {token(token='z' * 16)}]}}",
            "http.tokens",
            ["name twice"],
        ),
        (f"{{tokens: [{token(cameras='[moon]')}]}}", "http", ["'moon'", "door"]),
        (f"{{tokens: [{token(tokne='hush')}]}}", "", ["unknown key"]),
    ],
)
def test_a_mistake_is_named_and_no_secret_shown(
    load: Any, section: str, key: str, words: list[str]
):
    with pytest.raises(ConfigError) as caught:
        load(f"http: {section}\n")
    (mistake,) = caught.value.mistakes
    assert mistake.key == (key or mistake.key)
    assert all(word in mistake.text for word in words), mistake.text
    assert "hush" not in str(caught.value)
    assert "12345678" not in str(caught.value)
