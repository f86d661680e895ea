import pytest

from agent.config_http import HttpConfig
from agent.links import NO_LINKS, Links
from memory.kv import ChunkId

CHUNK = ChunkId("door", 1000, 9000)
PATH = "/api/evidence/door/0000000001000-0000000009000"


@pytest.mark.parametrize(
    ("config", "base"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"host": "::1", "port": 9}, "http://[::1]:9"),
        ({"public_url": "https://cameras.example/"}, "https://cameras.example"),
        ({"port": 0}, None),
        ({"enabled": False, "public_url": "https://cameras.example"}, None),
    ],
)
def test_links_begin_where_the_server_can_be_reached(
    config: dict[str, object], base: str | None
):
    assert HttpConfig.model_validate(config).links_base() == base


def test_a_chunk_has_a_link_to_its_picture_and_its_film():
    links = Links("http://h")
    assert links.picture(CHUNK) == f"http://h{PATH}/picture"
    assert links.film(CHUNK) == f"http://h{PATH}/film"


def test_without_a_server_or_pictures_there_is_none():
    assert (NO_LINKS.picture(CHUNK), NO_LINKS.film(CHUNK)) == (None, None)
    assert Links("http://h", has_pictures=False).picture(CHUNK) is None
