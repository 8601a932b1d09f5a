from __future__ import annotations

import pytest
from sqlalchemy import select

from plugin.cli.tenants import source_urls
from plugin.errors import NotAllowed, NotFound, TenantFileInvalid
from plugin.store import connections, rules, sources, tenants
from plugin.store.tables import metadata
from plugin.tenant_file import dump_document, stored_document
from tests.acme import ACME, states

KEY, NEW_KEY = "first-key-0123456789", "second-key-0123456789"
KEYED = ACME.replace("kind: zendesk,", f"kind: zendesk, key: {KEY},")
RENEWED = ACME.replace("kind: zendesk,", f"kind: zendesk, key: {NEW_KEY},")
NO_RULE = ACME[: ACME.index("rules:")] + "rules: []\n"
NO_CONNECTION = ACME[: ACME.index("connections:")] + "connections: []\nrules: []\n"
OTHER_VENDOR = (
    ACME[: ACME.index("connections:")]
    + """connections:
  - name: lab
    vendor: startquestion
    settings: {brand: webankieta, id_account: "1", webhook_key: k, webhook_auth: a, origin: "$sandbox"}
rules:
  - name: csat
    when: {events: [ticket.closed]}
    connection: lab
    call: send_invitation
    parameters: {id_survey: "1", id_template: "2", email: "{{ person.email }}"}
"""
)


def connection(acme, name="lab"):
    with acme.parts.database.read() as db:
        return connections.connection_by_name(db, acme.tenant.id, name)


def opened_by(acme, key):
    found = acme.parts.acceptor.source_for(key, fresh=True)
    return found.name if found else None


def pause(acme, reason):
    with acme.parts.database.write() as db:
        connections.pause_connection(
            db, acme.tenant.id, connection(acme).id, reason=reason, words="vendor's words", now=acme.clock()
        )


# --- round trips ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [ACME, KEYED, OTHER_VENDOR, NO_CONNECTION])
@pytest.mark.parametrize("with_secrets", [False, True])
def test_what_was_exported_changes_nothing_when_it_is_applied(acme, text, with_secrets):
    acme.apply(text)
    before = acme.counts()
    stored, version = acme.stored(), acme.tenant.version

    applied = acme.apply(dump_document(stored, with_secrets=with_secrets))

    assert (applied.changes, applied.cancelled, applied.version) == ((), 0, version)
    assert acme.stored() == stored
    assert acme.counts() == before


def test_rules_conditions_and_all_come_back_as_they_were_written(acme):
    text = ACME.replace(
        "chat.ended]}",
        """chat.ended], conditions: [
        {field: ticket.tags, op: excludes, value: no_survey}, {field: person.email, op: present},
        {any: [{field: ticket.priority, op: in, value: [high, urgent]}, {field: ticket.id, op: greater, value: "5"}]}]}
    sources: [desk]
    stop: true
    enabled: false""",
    )
    acme.apply(text)

    with acme.parts.database.read() as db:
        [bound] = rules.rules_of(db, acme.tenant.id)
    assert (bound.rule.enabled, bound.rule.stop, bound.rule.sources) == (False, True, ("desk",))
    assert [str(condition) for condition in bound.rule.conditions] == [
        "ticket.tags excludes no_survey",
        "person.email present",
        "any of (ticket.priority in high, urgent; ticket.id greater 5)",
    ]
    assert acme.apply(dump_document(acme.stored())).changes == ()


def test_a_change_makes_a_new_version_that_says_what_changed_and_keeps_the_former(acme):
    applied = acme.apply(ACME.replace('cId: "837"', 'cId: "838"'))

    assert [str(change) for change in applied.changes] == ["rule csat: parameters.cId changes from 837 to 838."]
    with acme.parts.database.read() as db:
        newest, first = tenants.configuration_history(db, acme.tenant.id, 10)
        former = stored_document(db, acme.parts.vault, acme.tenant, first.version)
    assert (newest.version, newest.summary, newest.saved_by) == (2, str(applied.changes[0]), "test")
    assert former["rules"][0]["parameters"]["cId"] == "837"


def test_a_former_version_that_is_not_kept_is_told(acme):
    with (
        acme.parts.database.read() as db,
        pytest.raises(NotAllowed, match="Version 9 of the configuration is not kept"),
    ):
        stored_document(db, acme.parts.vault, acme.tenant, 9)


def test_no_secret_stands_readable_in_the_database(acme):
    acme.apply(KEYED)

    with acme.parts.database.read() as db:
        raw = str([db.execute(select(table)).all() for table in metadata.sorted_tables])

    assert "acme" in raw
    for secret in ("zendesk-secret", "bearer-secret", "lab-token", KEY):
        assert secret not in raw


# --- what somebody else did -------------------------------------------------------------------------------------------


def test_a_version_that_somebody_else_has_overtaken_is_refused(acme):
    base = acme.tenant.version
    acme.apply(NO_RULE, base=base)

    with pytest.raises(NotAllowed, match="Somebody else has saved"):
        acme.apply(KEYED, base=base)

    assert acme.stored()["rules"] == []


# --- removing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [NO_RULE, NO_CONNECTION, OTHER_VENDOR])
def test_what_waits_for_something_removed_is_cancelled(acme, text):
    acme.close("1")
    acme.close("2")

    applied = acme.apply(text)

    assert applied.cancelled == 2
    assert states(acme.deliveries()) == ["cancelled", "cancelled"]
    acme.work()
    assert acme.vendor.received == []


def test_what_was_sent_keeps_its_record(acme):
    acme.close()
    acme.work()

    acme.apply(NO_CONNECTION)

    delivery = acme.delivery()
    assert (delivery.state, delivery.rule, delivery.connection) == ("accepted", "csat", "lab")


def test_a_renamed_rule_is_another_rule(acme):
    acme.close()

    assert acme.apply(ACME.replace("name: csat", "name: asked")).cancelled == 1


def test_a_name_may_come_back(acme):
    acme.apply(NO_CONNECTION)
    acme.apply(ACME)
    acme.close()

    acme.work()

    assert acme.delivery().state == "accepted"


def test_a_connection_with_another_vendor_is_called_in_its_own_way(acme):
    acme.apply(OTHER_VENDOR)
    acme.close()

    acme.work()

    assert [call.vendor for call in acme.vendor.received] == ["startquestion"]


def test_a_removed_source_answers_no_more(acme):
    acme.apply(KEYED)
    assert opened_by(acme, KEY) == "desk"

    acme.apply(ACME.replace("name: desk", "name: other"))

    assert opened_by(acme, KEY) is None
    with acme.parts.database.read() as db, pytest.raises(NotFound):
        sources.source_by_name(db, acme.tenant.id, "desk")


# --- addresses --------------------------------------------------------------------------------------------------------


def test_a_source_without_a_key_gets_one_that_stays(acme):
    first = source_urls(acme.parts, "acme")
    acme.apply(NO_RULE)

    assert source_urls(acme.parts, "acme") == first
    assert opened_by(acme, first["desk"].rpartition("/")[2]) == "desk"


def test_a_new_key_opens_at_once_and_the_old_one_for_seven_days(acme):
    acme.apply(KEYED)
    acme.apply(RENEWED)
    assert (opened_by(acme, KEY), opened_by(acme, NEW_KEY)) == ("desk", "desk")
    assert source_urls(acme.parts, "acme")["desk"].endswith(NEW_KEY)

    acme.clock.advance(days=7, seconds=-1)
    assert opened_by(acme, KEY) == "desk"
    acme.clock.advance(seconds=1)
    assert (opened_by(acme, KEY), opened_by(acme, NEW_KEY)) == (None, "desk")


def test_going_back_to_the_old_key_lets_the_new_one_end(acme):
    acme.apply(KEYED)
    acme.apply(RENEWED)
    acme.apply(KEYED)

    acme.clock.advance(days=8)

    assert (opened_by(acme, KEY), opened_by(acme, NEW_KEY)) == ("desk", None)


@pytest.mark.parametrize(
    "text",
    [
        KEYED.replace("kind: generic,", f"kind: generic, key: {KEY},"),
        KEYED.replace("tenant: acme", "tenant: blue"),
    ],
)
def test_a_key_that_another_source_uses_is_refused_and_nothing_is_changed(acme, text):
    acme.apply(KEYED)
    before = acme.counts()

    with pytest.raises(TenantFileInvalid, match=r"sources\[\d\]\.key: is in use by another source") as caught:
        acme.apply(text.replace("name: Acme\n", "name: Changed\n"))

    assert KEY not in str(caught.value)
    assert acme.counts() == before
    assert acme.stored()["name"] == "Acme"


# --- pauses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["credentials", "forbidden_address", "invalid_call", "not_found", "redirected"])
def test_new_settings_resume_a_connection_that_they_may_have_mended(acme, reason):
    acme.close()
    pause(acme, reason)

    acme.apply(ACME.replace("lab-token", "new-token"))
    acme.work()

    assert connection(acme).paused_reason is None
    assert acme.delivery().state == "accepted"
    assert acme.vendor.asked[0]["apiToken"] == "new-token"


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("quota", ACME.replace("lab-token", "new-token")),
        ("by_hand", ACME.replace("lab-token", "new-token")),
        ("credentials", NO_RULE),
    ],
)
def test_a_pause_that_the_settings_cannot_have_mended_stays(acme, reason, text):
    pause(acme, reason)

    acme.apply(text)

    assert connection(acme).paused_reason == reason


# --- tenants ----------------------------------------------------------------------------------------------------------


def test_two_tenants_keep_out_of_each_others_way(acme):
    acme.apply(ACME.replace("tenant: acme", "tenant: blue").replace("lab-token", "blue-token"))

    acme.apply(NO_RULE)

    with acme.parts.database.read() as db:
        blue = tenants.tenant_by_slug(db, "blue")
        assert [bound.rule.name for bound in rules.rules_of(db, blue.id)] == ["csat"]
        document = stored_document(db, acme.parts.vault, blue)
    assert document["connections"][0]["settings"]["api_token"].reveal() == "blue-token"


def test_removing_a_tenant_removes_every_row_of_it_and_no_other(acme):
    acme.apply(ACME.replace("tenant: acme", "tenant: blue"))
    before = acme.counts()
    acme.apply(KEYED)
    acme.close(email="invalid@example.com")
    acme.work()

    with acme.parts.database.write() as db:
        tenants.remove_tenant(db, acme.tenant.id)

    with acme.parts.database.read() as db:
        assert [tenant.slug for tenant in tenants.all_tenants(db)] == ["blue"]
        for name in ("sources", "connections", "rules", "lanes", "configurations", "source_keys"):
            left = db.exec_driver_sql(f"SELECT COUNT(*) FROM {name}").scalar()
            assert left == before[name] // 2, name


def test_a_tenant_that_does_not_exist_is_told(acme):
    with acme.parts.database.read() as db:
        with pytest.raises(NotFound, match="There is no tenant named nobody"):
            tenants.tenant_by_slug(db, "nobody")
        with pytest.raises(NotFound):
            tenants.tenant_by_id(db, "nobody")
