"""Chromium on a running stack; every page is checked for errors and for requests to other origins."""

import os
import re
import shutil
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.support.stack import ROOT, Stack, drawings

ARTEFACTS = ROOT / "test-artefacts" / "browser"
"""Screenshots of the last run."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FAST_TRAINING = {"steps": 4, "batch_size": 1, "seed": 5}
TIMEOUT_MS = 60_000
expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    running = Stack(tmp_path_factory.mktemp("page") / "home", DTI_RENOTIFY_S="1", DTI_LEASE_S="3")
    running.start()
    yield running
    running.client.close()
    # Nothing is kept, so no graceful shutdown is needed.
    running.kill()


@pytest.fixture(scope="session")
def concepts(stack):
    """The names of two concepts with a short training."""
    colours = {"ball": "crimson", "cube": "navy"}
    jobs = [stack.client.train(name, drawings(colour), **FAST_TRAINING) for name, colour in colours.items()]
    for job in jobs:
        stack.client.succeeded(job)
    return tuple(colours)


@pytest.fixture(scope="module")
def chromium():
    """A browser for the tests of one file: while it is open, other tests cannot run an event loop of their own."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found, "Chromium was not found: run `make chromium`."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


class PageMonitor:
    """Records the errors of a page and its requests to other origins."""

    def __init__(self, page, origin):
        self.foreign = []
        self.errors = []
        self.expected = []
        page.on("request", lambda request: self._on_request(request.url, origin))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))

    def expect(self, pattern):
        """Allow errors that match a pattern."""
        self.expected.append(pattern)

    def unexpected(self):
        return [error for error in self.errors if not any(re.search(pattern, error) for pattern in self.expected)]

    def _on_request(self, url, origin):
        parts = urlsplit(url)
        if parts.scheme not in {"blob", "data"} and f"{parts.scheme}://{parts.netloc}" != origin:
            self.foreign.append(url)


@pytest.fixture
def visit(chromium):
    """Open the page in a new browser context; afterwards no error and no foreign request may be left."""
    contexts, monitors = [], []

    def open_page(stack, view="", **settings):
        context = chromium.new_context(
            **{"viewport": {"width": 1280, "height": 860}, "reduced_motion": "reduce", **settings}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        # Playwright intercepts file choosers only while a listener is registered: register it before any click.
        page.on("filechooser", lambda _: None)
        page.monitor = PageMonitor(page, stack.url)
        monitors.append(page.monitor)
        page.goto(f"{stack.url}/#/{view}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [monitor.foreign for monitor in monitors if monitor.foreign] == []
    assert [monitor.unexpected() for monitor in monitors if monitor.unexpected()] == []


@pytest.fixture(scope="session")
def screenshot():
    """Save a screenshot of a page under a name."""
    shutil.rmtree(ARTEFACTS, ignore_errors=True)
    ARTEFACTS.mkdir(parents=True)

    def screenshot(page, name):
        page.screenshot(path=ARTEFACTS / f"{name}.png", animations="disabled")

    return screenshot


@pytest.fixture
def pictures(tmp_path):
    """Paths of three picture files."""
    paths = []
    for number, data in enumerate(drawings("seagreen", count=3)):
        path = tmp_path / f"picture-{number}.png"
        path.write_bytes(data)
        paths.append(os.fspath(path))
    return paths
