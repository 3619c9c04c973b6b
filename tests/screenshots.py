"""Takes the picture of the page that the README shows: ``make screenshots``. With names of models, of those into a folder.

Example: python -m tests.screenshots /tmp/pictures iris-logistic language
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from tests import servers
from tests.parts import need
from train import iris

PICTURE = servers.ROOT / "docs" / "page.png"
SIZES = {
    "light": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light"},
}


def take(browser: Browser, url: str, name: str, kind: str, path: Path, whole: bool = False) -> None:
    """A picture of the page of a model. kind: of SIZES. whole: the page to its end, not what a window shows."""
    page = browser.new_page(reduced_motion="reduce", **SIZES[kind])
    page.goto(f"{url}/#/{name}")
    expect(page.locator("#timing")).not_to_be_empty()
    for _ in range(20):  # as it answers when it has answered before
        with page.expect_response("**/predict"):
            page.get_by_text("Back to the example").click()
    if name == "iris-logistic":
        page.get_by_label("petal_width, slider").fill("1.7")  # so that a species is likely, and no more
    page.wait_for_load_state("networkidle")
    page.screenshot(path=path, full_page=whole)
    page.close()


def main(folder: str = "", *names: str) -> None:
    """folder, names: where to put pictures of every kind of which models; the README's own without them."""
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        store = Path(temporary)
        if not names:
            for algorithm, recipe in iris.ALGORITHMS.items():
                iris.run(algorithm, recipe, store)
        browser = playwright.chromium.launch(executable_path=need("chromium"), args=["--no-sandbox"])
        with servers.gunicorn(store if not names else servers.ROOT / "model", WEB_CONCURRENCY="1") as server:
            if not names:
                take(browser, server.url, "iris-logistic", "light", PICTURE)
            for name in names:
                for kind in SIZES:
                    take(browser, server.url, name, kind, Path(folder) / f"{name}-{kind}.png", whole=True)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
