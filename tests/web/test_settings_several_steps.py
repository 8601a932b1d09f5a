"""Receipts of calls that take several steps: each step is named, with what it sent and what came back."""

from __future__ import annotations

import json

import pytest

from plugin.sandbox.server import Sandbox
from tests.web.installation import Installation, words

LIME = """
tenant: acme
name: Acme
timezone: Europe/Warsaw
language: pl
sources:
- {name: desk, kind: generic, credentials: {bearer: desk-token}}
connections:
- {name: lime, vendor: limesurvey, settings: {origin: VENDOR, username: admin, password: lime-password}}
rules:
- name: solved
  when: {events: [ticket.closed]}
  connection: lime
  call: invite
  parameters: {survey_id: "282267", email: "{{ person.email }}", attribute_1: "{{ ticket.id }}"}
"""


@pytest.fixture(scope="module")
def vendor():
    with Sandbox() as running:
        yield running


@pytest.fixture
def installation(tmp_path, vendor):
    made = Installation(tmp_path, vendor.origin)
    yield made
    made.close()


def test_each_step_is_named_with_what_it_sent_and_no_secret(installation, vendor):
    tenant = installation.apply(LIME)
    receipt_id = installation.close_ticket(tenant)
    installation.deliver()

    answer = installation.visitor(installation.add_link(tenant)).get(f"/settings/receipts/{receipt_id}")

    page = words(answer)
    assert "It takes several steps; what each of them sent stands with it below." in page
    for text in ("Steps and attempts", "· Log in", "· Add the participant", "· Invite that participant", "next step"):
        assert text in page
    assert page.index("get_session_key") < page.index("add_participants") < page.index("invite_participants")
    session = next(call for call in vendor.received[::-1] if b"get_session_key" in call.body).answer.body
    assert "lime-password" not in answer.text
    assert json.loads(session)["result"] not in answer.text
    assert "/index.php/admin/remotecontrol" in page


@pytest.mark.parametrize("resolution", ["sent", "not_sent", "cancel"])
def test_whoever_decides_is_told_which_step_is_in_doubt(installation, resolution):
    tenant = installation.apply(LIME)
    receipt_id = installation.close_ticket(tenant, email="broken@example.com")
    installation.deliver()
    admin = installation.visitor(installation.add_link(tenant))
    delivery = installation.delivery(tenant, receipt_id)

    assert (delivery.state, delivery.step) == ("uncertain", "invite")
    assert "Step in doubt Invite that participant" in words(admin.get(f"/settings/receipts/{receipt_id}"))
    asked = words(admin.get(f"/settings/deliveries/{delivery.id}/resolve/{resolution}"))
    assert "In doubt is one step of several: Invite that participant ." in asked
    assert "the steps before it are not repeated" in asked
