"""The tenant's pages as a person meets them: with a mouse, a keyboard, a small screen, at night."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

PAGES = (
    "/settings/",
    "/settings/configuration/",
    "/settings/paste/",
    "/settings/receipts",
    "/settings/sources/desk/guide",
)


def enter(page: Page, site, role: str = "admin") -> None:
    page.goto(site.link(role))
    page.get_by_role("button", name="Open settings").click()
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()


def picture(page: Page, folder: Path, name: str) -> Path:
    """A picture of the whole page, kept in the test's folder for whoever wants to look."""
    path = folder / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    return path


def test_a_config_link_leads_to_the_overview(page, site):
    page.goto(site.link())
    expect(page.get_by_role("heading", name="Settings of Acme")).to_be_visible()

    page.get_by_role("button", name="Open settings").click()

    expect(page).to_have_url(f"{site.origin}/settings/")
    expect(page.get_by_text(site.installation.keys(site.tenant, "desk")[0])).to_be_visible()


def test_an_address_is_copied_with_one_click(page, site, context):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    enter(page, site)

    page.get_by_role("button", name="Copy").first.click()

    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    address = f"http://localhost/triggers/{site.installation.keys(site.tenant, 'desk')[0]}"
    assert page.evaluate("navigator.clipboard.readText()") == address


def test_without_permission_to_copy_the_address_is_selected(page, site, context):
    enter(page, site)
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')) }")

    page.get_by_role("button", name="Copy").first.click()

    expect(page.get_by_role("button", name="Selected")).to_be_visible()
    assert site.installation.keys(site.tenant, "desk")[0] in page.evaluate("getSelection().toString()")


def test_a_configuration_is_mended_saved_and_undone(page, site, watch):
    watch.expected = ("status of 422",)
    enter(page, site)
    page.get_by_role("link", name="Configuration", exact=True).click()
    editor = page.get_by_label("Configuration in YAML", exact=True)
    before = editor.input_value()

    editor.fill(before.replace("op: excludes", "op: exludes"))
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("alert")).to_contain_text("rules[0] (solved).when.conditions[0].op must be one of")

    editor.fill(before.replace("value: no_survey", "value: do_not_ask"))
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("heading", name="Save this configuration?")).to_be_visible()
    expect(page.locator(".removed")).to_contain_text("value: no_survey")
    expect(page.locator(".added")).to_contain_text("value: do_not_ask")

    page.get_by_role("button", name="Back to editing").click()
    assert editor.input_value() == before.replace("value: no_survey", "value: do_not_ask")
    page.get_by_role("button", name="Check").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved as version 2.")

    page.get_by_role("link", name=re.compile("Undo the last change")).click()
    page.get_by_role("button", name="Restore version 1").click()
    expect(page.get_by_role("status")).to_contain_text("Saved as version 3.")
    assert editor.input_value() == before


def test_a_pasted_url_becomes_yaml_to_copy(page, site, context, tmp_path, watch):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    enter(page, site)
    page.get_by_role("link", name="Configuration", exact=True).click()
    page.get_by_role("link", name="Paste a vendor URL …").click()
    url = "https://mysurveylab.com/api.php?apiToken=k3h3k4h5k3h4&cId=83&email={{ticket.requester.email}}&crk={{ticket.id}}"

    page.get_by_label("URL", exact=True).fill(url)
    page.get_by_role("button", name="Show what it is").click()

    expect(page.get_by_text("The address was mended to https://www.mysurveylab.com.")).to_be_visible()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert "api_token: {secret: set}" in page.evaluate("navigator.clipboard.readText()")
    assert "k3h3k4h5k3h4" not in page.content() + page.url
    assert poor_contrasts(page) == []
    assert picture(page, tmp_path, "pasted").stat().st_size > 10_000


def test_a_receipt_is_found_and_tells_the_whole_story(page, site):
    site.installation.close_ticket(site.tenant, "1001")
    site.installation.close_ticket(site.tenant, "1002", email="failed@example.com")
    site.installation.deliver()
    enter(page, site)

    page.get_by_role("link", name="Receipts", exact=True).click()
    page.get_by_label("Find").fill("1002")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("tbody tr a").click()

    expect(page.get_by_role("heading", name="Ticket closed: ticket:1002")).to_be_visible()
    expect(page.locator("main")).to_contain_text("/api.php?apiToken=•••")
    expect(page.get_by_role("row", name="email failed@example.com", exact=True)).to_be_visible()
    expect(page.locator("blockquote")).to_contain_text("Action failed")
    message = page.get_by_label("The message")
    expect(message).to_be_hidden()
    page.get_by_text("The message, indented").click()
    expect(message).to_contain_text('"id": "1002"')


def test_receipts_are_narrowed_by_state(page, site):
    site.installation.close_ticket(site.tenant, "1001")
    site.installation.close_ticket(site.tenant, "1002", tags="no_survey")
    enter(page, site)
    page.get_by_role("link", name="Receipts", exact=True).click()

    page.get_by_label("State").select_option(label="Nothing to send")
    page.get_by_role("button", name="Find").click()

    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("ticket:1002")
    expect(page.get_by_label("State")).to_have_value("nothing sent")


def test_a_connection_is_paused_and_resumed(page, site):
    enter(page, site)

    page.get_by_role("link", name="Pause … lab").click()
    page.get_by_role("button", name="Pause lab").click()
    expect(page.get_by_role("status").first).to_contain_text("lab is paused")

    page.get_by_role("link", name="Resume … lab").click()
    page.get_by_role("button", name="Resume lab").click()
    expect(page.get_by_role("status").first).to_contain_text("lab is resumed")


def test_a_viewer_reads_everything_and_saves_nothing(page, site):
    receipt_id = site.installation.close_ticket(site.tenant)
    enter(page, site, "viewer")
    expect(page.get_by_text("You may look, not change")).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("Pause"))).to_have_count(0)

    page.get_by_role("link", name="Configuration", exact=True).click()
    expect(page.get_by_label("Configuration in YAML")).to_contain_text("name: solved")
    expect(page.locator("textarea")).to_have_count(0)
    expect(page.get_by_role("button")).to_have_count(1)  # to end the session

    page.goto(f"{site.origin}/settings/receipts/{receipt_id}")
    expect(page.get_by_role("row", name="email l•••@example.com", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Cancel this delivery")).to_have_count(0)


def test_a_session_is_ended_by_its_button(page, site, watch):
    watch.expected = ("status of 403",)
    enter(page, site)

    page.get_by_role("button", name="End session").click()

    expect(page.get_by_role("status")).to_contain_text("Your session has ended.")
    page.goto(f"{site.origin}/settings/")
    expect(page.get_by_role("heading", name="This is not open to you")).to_be_visible()


def test_everything_can_be_reached_by_keyboard_and_shows_where_one_is(page, site):
    enter(page, site)

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"

    pages = ["Acme", "Overview", "Configuration", "Receipts", "No invitations"]
    assert reached[:7] == [*pages, "End session", "Copy"]


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1200, "light")])
def test_every_page_fits_its_screen_and_can_be_read(page, site, tmp_path, width, scheme):
    receipt_id = site.installation.close_ticket(site.tenant, "9" * 60, title="A title " + "without-a-blank" * 20)
    site.installation.deliver()
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    enter(page, site)

    for number, path in enumerate(
        [
            *PAGES,
            f"/settings/receipts/{receipt_id}",
            "/settings/connections/lab/pause",
            "/settings/connections/lab/choices",
        ]
    ):
        page.goto(site.origin + path)
        page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true })")

        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert picture(page, tmp_path, f"{number}").stat().st_size > 10_000
        assert poor_contrasts(page) == [], path


def poor_contrasts(page: Page) -> list[str]:
    """Texts whose colours are closer than WCAG's 4.5 : 1, each with its ratio."""
    found: list[str] = page.evaluate(
        """() => {
          const channels = colour => colour.match(/[\\d.]+/g).map(Number);
          const linear = part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
          const luminance = ([r, g, b]) =>
            0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
          const paper = element => {
            for (let one = element; one; one = one.parentElement) {
              const colour = channels(getComputedStyle(one).backgroundColor);
              if (colour.length === 3 || colour[3] === 1) return colour;
            }
            return [255, 255, 255];
          };
          const poor = [];
          for (const element of document.querySelectorAll("body *")) {
            const hasText = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
            if (!hasText || !element.checkVisibility()) continue;
            const ink = luminance(channels(getComputedStyle(element).color));
            const ground = luminance(paper(element));
            const ratio = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
            if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${element.tagName} ${element.textContent.trim()}`);
          }
          return poor;
        }"""
    )
    return found


def test_the_pages_work_without_scripts(browser, site, watch):
    context = browser.new_context(java_script_enabled=False, locale="en-US")
    page = context.new_page()
    page.on("request", watch.on_request)
    enter(page, site)

    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    page.get_by_role("link", name="Configuration", exact=True).click()
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("status")).to_contain_text("Nothing differs from what is saved.")
    context.close()
