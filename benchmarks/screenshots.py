"""Pictures of the console, for the README: `python -m benchmarks.screenshots [FOLDER]`.

Runs an agent that watches two simulated cameras, asks it in a real browser, and takes
the pictures. It needs playwright and Chromium.
"""

import argparse
import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from agent.config import load_config
from agent.demo_agent import free_port, running_agent
from agent.demo_questions import DemoQuestion, questions_about
from ingest.clock import utc_now
from ingest.simulation.world import World

WATCH_S = 120
COLOURS = 256
CHUNK_S = 8.0  # what is newer may not be remembered yet
WAIT_MS = 20_000
WIDE = {"width": 1120, "height": 900}
PHONE = {"width": 390, "height": 844}


WORLDS = {"garden": 11, "street": 12}


def _question(from_s: float, to_s: float) -> DemoQuestion:
    """Give a question about what was to be seen."""
    worlds = {name: World(seed) for name, seed in WORLDS.items()}
    windows = dict.fromkeys(worlds, (from_s, to_s))
    return questions_about(worlds, windows, 1, seed=1)[0]


def _config(folder: Path) -> dict[str, Any]:
    cameras = {
        name: {"address": f"simulated:seed={seed}&size=256&fps=2", "fps": 2}
        for name, seed in WORLDS.items()
    }
    return {
        "data_dir": str(folder / "data"),
        "cameras": cameras,
        "model": {"context_chunks": 0},
        "memory": {"top_k": 4},
        "mqtt": {"embedded_port": free_port()},
        "http": {"port": free_port()},
    }


def _shoot(url: str, folder: Path, question: DemoQuestion) -> None:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport=WIDE)
        page.set_default_timeout(WAIT_MS)
        page.goto(url)
        page.wait_for_selector(".camera img")
        page.fill("#question", question.text.rstrip(" ?") + " in the last ten minutes?")
        page.press("#question", "Enter")
        page.wait_for_selector(".answer[data-status]")
        page.wait_for_selector(".moment img")
        page.click("button:text('10 min')")
        page.evaluate("document.activeElement.blur()")
        page.wait_for_timeout(1500)
        _save(page, folder / "console.png")
        page.set_viewport_size(PHONE)
        page.wait_for_timeout(500)
        _save(page, folder / "console-phone.png")
        browser.close()


def _save(page: Any, path: Path) -> None:
    page.screenshot(path=str(path), full_page=True)
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(COLOURS)
    small.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


async def _run(folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="lw-") as data:
        path = Path(data) / "longwatch.yaml"
        config = _config(Path(data))
        path.write_text(yaml.safe_dump(config))
        async with running_agent(path, load_config(path).mqtt.settings()):
            began_s = utc_now()
            await asyncio.sleep(WATCH_S)
            question = _question(began_s, utc_now() - CHUNK_S)
            url = f"http://127.0.0.1:{config['http']['port']}"
            await asyncio.to_thread(_shoot, url, folder, question)


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/images"))
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_run(folder))


if __name__ == "__main__":
    main()
