"""A browser, and an installation that it reaches over a real socket."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from plugin.sandbox.server import Sandbox
from plugin.store.tenants import Tenant
from tests.web.installation import CONFIGURATION, Installation

#: What the browser must not do by itself while it is watched.
_ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


class _Silent(WSGIRequestHandler):
    def log(self, *args: object) -> None:
        """Say nothing: the lines would hold tokens."""


@dataclass
class Site:
    """A running installation with one tenant."""

    installation: Installation
    tenant: Tenant
    origin: str

    def link(self, role: str = "admin") -> str:
        return self.origin + self.installation.add_link(self.tenant, role)


@dataclass
class Watch:
    """What pages did that nobody sees: messages on the console, crashes of scripts, and requests to anywhere."""

    origin: str
    #: Answers that a test asked for and that the browser complains of.
    expected: tuple[str, ...] = ()
    complaints: list[str] = field(default_factory=list)

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not any(text in message.text for text in self.expected):
            self.complaints.append(f"console: {message.text}")

    def on_error(self, error: Exception) -> None:
        self.complaints.append(f"script: {error}")

    def on_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.origin}/", "data:")):
            self.complaints.append(f"request to another origin: {request.url}")


def find_browser() -> str:
    """The path of a Chromium, or a failed test that says how to get one."""
    asked = os.environ.get("BROWSER_PATH")
    names = [asked] if asked else ["chromium", "chromium-browser", "google-chrome"]
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail(
            "These tests need a Chromium, and none was found. `make test` installs one; or name yours in BROWSER_PATH.",
            pytrace=False,
        )
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=find_browser(), headless=True, args=list(_ARGUMENTS))
        yield running
        running.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Sandbox(slow_seconds=0.1) as vendor:
        installation = Installation(tmp_path, vendor=vendor.origin)
        tenant = installation.apply(CONFIGURATION)
        server: BaseWSGIServer = make_server("127.0.0.1", 0, installation.app, threaded=True, request_handler=_Silent)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield Site(installation, tenant, f"http://127.0.0.1:{server.port}")
        server.shutdown()
        thread.join()
        server.server_close()
        installation.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(locale="en-US", viewport={"width": 1200, "height": 900})
    yield made
    made.close()


@pytest.fixture
def watch(site: Site) -> Iterator[Watch]:
    """Fails the test in the end if any page did what it must not."""
    watching = Watch(site.origin)
    yield watching
    assert watching.complaints == []


@pytest.fixture
def page(context: BrowserContext, watch: Watch) -> Page:
    made = context.new_page()
    made.set_default_timeout(10_000)
    made.on("console", watch.on_console)
    made.on("pageerror", watch.on_error)
    made.on("request", watch.on_request)
    return made
