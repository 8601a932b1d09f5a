"""The receipt of an event that a replay has planned again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from plugin.pipeline.bulk_replay import begin_replay, choose, make_next
from plugin.store.candidates import Selection
from tests.web.installation import CONFIGURATION, Installation, words


@pytest.fixture
def installation(tmp_path):
    made = Installation(tmp_path)
    yield made
    made.close()


def test_the_receipt_shows_both_verdicts_and_the_delivery_once(installation):
    tenant = installation.apply(CONFIGURATION.replace("{{ person.email }}", "{{ person.phone }}"))
    receipt_id = installation.close_ticket(tenant)
    installation.apply(CONFIGURATION)
    parts = installation.parts
    selection = Selection(until=installation.clock() + timedelta(seconds=1), verdict="problem")
    begun = begin_replay(parts.database, parts.mint, tenant.id, selection, per_minute=60)
    assert [replay.chosen for replay in choose(parts.database, parts.mint, begun.id)] == [1]
    make_next(parts.database, parts.mint, begun.id)

    page = installation.visitor(installation.add_link(tenant)).get(f"/settings/receipts/{receipt_id}")

    said = words(page)
    assert said.index("Rule solved problem") < said.index("Rule solved asked")
    assert "The event was planned again for this rule" in said
    assert page.text.count('<article class="delivery"') == 1
    assert said.index("Rule solved asked") < said.index("Delivery scheduled")
