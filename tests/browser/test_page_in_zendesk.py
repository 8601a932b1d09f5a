"""The page of our app, in the frame that Zendesk puts it into: what a real browser shows there, and what it refuses."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.web.installation import Installation
from tests.web.zendesk_frames import FRAME, tenant_file, token

pytestmark = pytest.mark.browser

ORIGIN = "https://survey.example.com"
#: What Zendesk does with an app whose addresses are signed: its frame is loaded by a form that it sends.
AROUND = """
<!doctype html><title>Zendesk</title>
<iframe name="app" width="900" height="600"></iframe>
<form method="post" target="app" action="ACTION"><input type="hidden" name="token" value="TOKEN"></form>
<script>document.forms[0].submit()</script>
"""


@pytest.fixture
def installation(tmp_path):
    made = Installation(tmp_path, base_url=ORIGIN)
    made.apply(tenant_file())
    yield made
    made.close()


def open_in(context, installation, host):
    """The page of a Zendesk with our app in it; both have TLS, for which the browser's requests are answered here."""
    client = installation.app.test_client()

    def answer(route):
        asked = route.request
        headers = {name: value for name, value in asked.all_headers().items() if not name.startswith((":", "cookie"))}
        given = client.open(asked.url, method=asked.method, headers=headers, data=asked.post_data_buffer, buffered=True)
        route.fulfill(status=given.status_code, headers=dict(given.headers), body=given.data)

    around = AROUND.replace("ACTION", ORIGIN + FRAME).replace("TOKEN", token(installation))
    context.route(f"https://{host}/**", lambda route: route.fulfill(body=around, content_type="text/html"))
    context.route(f"{ORIGIN}/**", answer)
    page = context.new_page()
    page.goto(f"https://{host}/agent/apps/survey")
    return page


def test_an_agent_sees_the_settings_and_opens_them_in_a_window_of_their_own(context, installation):
    page = open_in(context, installation, "acme.zendesk.com")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Survey invitations of Acme")).to_be_visible()

    with context.expect_page() as opened:
        frame.get_by_role("button", name="Receipts and settings").click()
    opened.value.get_by_role("button", name="Open settings").click()

    expect(opened.value.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    expect(opened.value.get_by_text("You may look, not change")).to_be_visible()


def test_a_browser_shows_it_in_the_frame_of_nobody_else(context, installation):
    with context.expect_console_message(lambda told: "frame-ancestors https://acme.zendesk.com" in told.text):
        page = open_in(context, installation, "blue.zendesk.com")

    expect(page.frame_locator("iframe").get_by_role("heading", name="Survey invitations of Acme")).to_have_count(0)
