"""What the broker keeps for whoever comes later: the agent's state, each camera's."""

from typing import Any

import pytest
from bus_asker import asker, running_bus


async def test_status_is_retained_and_cameras_too(mosquitto: Any, prefix: str) -> None:
    async with asker(mosquitto) as client:
        async with running_bus(mosquitto, prefix) as bus:
            bus.publish_camera_status("door", {"state": "stalled"})
            bus.publish_camera_status("door", {"state": "online", "last_frame": 1.5})
            await client.listen(f"{prefix}/status")
            await client.wait_for(b"online")
            await client.listen(f"{prefix}/door/status")
            await client.wait_for(b'{"state": "online", "last_frame": 1.5}')
            async with asker(mosquitto) as later:
                await later.listen(f"{prefix}/door/status")
                assert (await later.next_body())["state"] == "online"
        await client.wait_for(b"offline")


async def test_last_will_tells_that_the_agent_vanished(
    mosquitto: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One that is back before the broker noticed keeps its session, and has no will.
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    async with asker(mosquitto) as client, running_bus(mosquitto, prefix) as bus:
        await client.listen(f"{prefix}/status")
        await client.wait_for(b"online")
        assert bus._link is not None
        paho = bus._link._client._client
        paho.socket().shutdown(2)  # as when the process is killed: no DISCONNECT
        await client.wait_for(b"offline")
        await client.wait_for(b"online")  # and it comes back by itself
