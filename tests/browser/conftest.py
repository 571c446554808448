"""A real Chromium on a real stack: every page is watched for errors and for requests to anywhere else."""

import os
import re
import shutil
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.support.stack import ROOT, Stack, drawings

ARTEFACTS = ROOT / "test-artefacts" / "browser"
"""Where pictures of the page are left to be looked at."""

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
QUICK = {"steps": 4, "batch_size": 1, "seed": 5}
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    running = Stack(tmp_path_factory.mktemp("page") / "home", DTI_RING_AGAIN_S="1", DTI_LEASE_S="3")
    running.start()
    yield running
    running.client.close()
    # There is nothing to be kept: no need to wait for a graceful end.
    running.kill()


@pytest.fixture(scope="session")
def concepts(stack):
    """Two concepts that were learned in no time, and so not well."""
    jobs = [
        stack.client.train(name, drawings(colour), **QUICK) for name, colour in (("ball", "crimson"), ("cube", "navy"))
    ]
    for job in jobs:
        stack.client.succeeded(job)
    return ("ball", "cube")


@pytest.fixture(scope="session")
def chromium():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found, "There is no Chromium: install the Debian package `chromium`."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


class Watch:
    """What a page did that it must not: errors, and requests to other places than its own server."""

    def __init__(self, page, origin):
        self.foreign = []
        self.errors = []
        self.expected = []
        page.on("request", lambda request: self._asked(request.url, origin))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))

    def expect(self, pattern):
        """Errors that a test provokes on purpose."""
        self.expected.append(pattern)

    def unexpected(self):
        return [error for error in self.errors if not any(re.search(pattern, error) for pattern in self.expected)]

    def _asked(self, address, origin):
        place = urlsplit(address)
        if place.scheme not in {"blob", "data"} and f"{place.scheme}://{place.netloc}" != origin:
            self.foreign.append(address)


@pytest.fixture
def visit(chromium):
    """Open the page of a stack as somebody new; in the end nothing may have gone wrong unnoticed."""
    contexts, watches = [], []

    def open_page(stack, place="", **settings):
        context = chromium.new_context(
            **{"viewport": {"width": 1280, "height": 860}, "reduced_motion": "reduce", **settings}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        # Asked for only when a chooser is expected, interception may come too late for it.
        page.on("filechooser", lambda _: None)
        page.watch = Watch(page, stack.url)
        watches.append(page.watch)
        page.goto(f"{stack.url}/#/{place}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [watch.foreign for watch in watches if watch.foreign] == []
    assert [watch.unexpected() for watch in watches if watch.unexpected()] == []


@pytest.fixture(scope="session")
def keep():
    """Leave a picture of a page among the artefacts."""
    shutil.rmtree(ARTEFACTS, ignore_errors=True)
    ARTEFACTS.mkdir(parents=True)

    def keep(page, name):
        page.screenshot(path=ARTEFACTS / f"{name}.png", animations="disabled")

    return keep


@pytest.fixture
def pictures(tmp_path):
    """Files of pictures as somebody has them on their disk."""
    paths = []
    for number, data in enumerate(drawings("seagreen", count=3)):
        path = tmp_path / f"picture-{number}.png"
        path.write_bytes(data)
        paths.append(os.fspath(path))
    return paths
