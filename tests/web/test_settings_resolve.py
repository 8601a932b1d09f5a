"""The pages on which a person says what became of an uncertain delivery."""

from __future__ import annotations

import pytest

from plugin.sandbox.server import Sandbox
from tests.web.installation import CONFIGURATION, Installation, words


@pytest.fixture(scope="module")
def vendor():
    with Sandbox() as running:
        yield running


@pytest.fixture
def installation(tmp_path, vendor):
    made = Installation(tmp_path, vendor.origin)
    yield made
    made.close()


@pytest.fixture
def held(installation):
    """A tenant and the receipt of an uncertain delivery."""
    tenant = installation.apply(CONFIGURATION)
    receipt_id = installation.close_ticket(tenant, email="broken@example.com")
    installation.deliver()
    assert installation.delivery(tenant, receipt_id).state == "uncertain"
    return tenant, receipt_id


@pytest.mark.parametrize(
    ("resolution", "title", "state"),
    [
        ("sent", "It was sent", "accepted"),
        ("not_sent", "It was not sent", "scheduled"),
        ("cancel", "Cancel it", "cancelled"),
    ],
)
def test_an_admin_decides_after_a_page_that_says_what_follows(installation, held, resolution, title, state):
    tenant, receipt_id = held
    admin = installation.visitor(installation.add_link(tenant))
    path = f"/settings/deliveries/{installation.delivery(tenant, receipt_id).id}/resolve/{resolution}"
    assert f'href="{path}"' in admin.get(f"/settings/receipts/{receipt_id}").text

    asked = words(admin.get(path))
    assert f"{title}?" in asked
    assert installation.delivery(tenant, receipt_id).state == "uncertain"

    assert admin.post(path).status_code == 303
    assert installation.delivery(tenant, receipt_id).state == state
    page = words(admin.get(f"/settings/receipts/{receipt_id}"))
    assert "Decided by a person" in page
    assert ", settings page:" in page
    assert path not in page


def test_what_is_decided_already_is_not_decided_again(installation, held):
    tenant, receipt_id = held
    admin = installation.visitor(installation.add_link(tenant))
    delivery = f"/settings/deliveries/{installation.delivery(tenant, receipt_id).id}"
    admin.post(f"{delivery}/resolve/sent")

    assert "by now, so there is nothing to decide" in words(admin.get(f"{delivery}/resolve/not_sent"))
    refused = admin.post(f"{delivery}/resolve/not_sent")

    assert refused.status_code == 409
    assert "This delivery is accepted by now" in words(refused)


def test_a_viewer_sees_what_was_decided_and_decides_nothing(installation, held):
    tenant, receipt_id = held
    viewer = installation.visitor(installation.add_link(tenant, "viewer"))
    path = f"/settings/deliveries/{installation.delivery(tenant, receipt_id).id}/resolve/sent"

    assert "/resolve/" not in viewer.get(f"/settings/receipts/{receipt_id}").text
    assert viewer.get(path).status_code == 403
    assert viewer.post(path).status_code == 403


def test_something_else_cannot_be_said(installation, held):
    tenant, receipt_id = held
    admin = installation.visitor(installation.add_link(tenant))
    path = f"/settings/deliveries/{installation.delivery(tenant, receipt_id).id}/resolve/lost"

    assert admin.get(path).status_code == 404
    assert admin.post(path).status_code == 404
