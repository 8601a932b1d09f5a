from __future__ import annotations

from datetime import UTC, datetime

import pytest
from marshmallow import ValidationError

from plugin.domain.event import EventKind
from plugin.errors import SignatureInvalid
from plugin.triggers import generic
from plugin.triggers.base import InboundRequest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BODY = '{"ticket":{"id":"4711","note":"Żółć \\"ok\\""},"n":1}'.encode()

#: Credentials as a tenant writes them, and the headers of a request that they prove.
PROOFS = {
    "bearer": ({"bearer": "t0ken"}, {"authorization": "Bearer t0ken"}),
    "basic": ({"basic": {"user": "ada", "password": "żółw"}}, {"authorization": "Basic YWRhOsW8w7PFgnc="}),
    "header": ({"header": {"name": "X-Api-Key", "value": "k3y"}}, {"x-api-key": "k3y"}),
    "standard_webhooks": (
        {"standard_webhooks": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="},
        {
            "webhook-id": "msg_01",
            "webhook-timestamp": "1767323045",
            "webhook-signature": "v1,S00awNP2jtsSKK588Xm34evoe2J/PtvS5KC1+zrLKyc=",
        },
    ),
    "hmac": (
        {"hmac": {"secret": "client-secret-1", "header": "X-Smartsupp-Hmac"}},
        {"x-smartsupp-hmac": "1575e1806abd60d0cb960520998d1aae37441ee2f79de7ff6d623683530fa514"},
    ),
    "hmac, as Zammad": (
        {
            "hmac": {
                "secret": "client-secret-1",
                "header": "X-Hub-Signature",
                "algorithm": "sha1",
                "prefix": "sha1=",
            }
        },
        {"x-hub-signature": "sha1=7fab0504cdc4e919c20a9ccc18cc426480a969e7"},
    ),
    "hmac, as Front, its secret in base64": (
        {
            "hmac": {
                "secret": "Y2xpZW50LXNlY3JldC0x",
                "secret_form": "base64",
                "header": "X-Front-Signature",
                "encoding": "base64",
                "message": "{timestamp}:{body}",
                "timestamp_header": "X-Front-Request-Timestamp",
                "timestamp_unit": "ms",
                "tolerance": 60,
            }
        },
        {
            "x-front-request-timestamp": "1767323045000",
            "x-front-signature": "d18ptY3x8yLNcsnx2L0cQsXPaQF7pS7do0g6ztfv7gU=",
        },
    ),
}


def load(credentials):
    return generic.SOURCE.credentials().load(credentials)


def problems(credentials):
    with pytest.raises(ValidationError) as refusal:
        load(credentials)
    return refusal.value.messages


# --- proof


@pytest.mark.parametrize("name", PROOFS)
def test_each_kind_of_credentials_lets_its_own_request_through(name):
    credentials, headers = PROOFS[name]
    generic.verify(InboundRequest("POST", "", headers, BODY), load(credentials), NOW)


@pytest.mark.parametrize(
    ("name", "other"), [(name, other) for name in PROOFS for other in [*PROOFS, "nothing"] if name != other]
)
def test_each_kind_of_credentials_refuses_every_other_request(name, other):
    headers = PROOFS[other][1] if other in PROOFS else {}
    with pytest.raises(SignatureInvalid):
        generic.verify(InboundRequest("POST", "", headers, BODY), load(PROOFS[name][0]), NOW)


def test_the_url_alone_lets_everything_through():
    generic.verify(InboundRequest("GET", "ticket.id=1", {}, b""), load({"url_only": True}), NOW)


@pytest.mark.parametrize("credentials", [{}, {"url_only": False}])
def test_without_credentials_nothing_is_let_through(credentials):
    with pytest.raises(SignatureInvalid):
        generic.verify(InboundRequest("POST", "", {}, BODY), credentials, NOW)


@pytest.mark.parametrize(
    ("name", "marked"),
    [
        ("bearer", False),
        ("basic", False),
        ("header", False),
        ("standard_webhooks", True),
        ("hmac", False),
        ("hmac, as Front, its secret in base64", True),
    ],
)
def test_only_a_signature_over_a_time_marks_a_request_as_unrepeatable(name, marked):
    credentials, headers = PROOFS[name]
    mark = generic.replay_mark(InboundRequest("POST", "", headers, BODY), load(credentials))
    assert (mark is not None) is marked


# --- credentials as a tenant writes them

ONE_OF = "give exactly one of: bearer, basic, header, standard_webhooks, hmac, url_only."


@pytest.mark.parametrize(
    "credentials",
    [{}, {"bearer": "a", "url_only": True}, {"url_only": False}, {"bearer": "a", "standard_webhooks": "aaaa"}],
)
def test_exactly_one_proof_must_be_given(credentials):
    assert problems(credentials) == {"_schema": [ONE_OF]}


def hmac_dials(**changed):
    return {"hmac": {"secret": "s3cret", "header": "X-Signature", **changed}}


@pytest.mark.parametrize(
    ("credentials", "place", "told"),
    [
        ({"bearer": ""}, ["bearer"], "must not be empty."),
        ({"bearer": None}, ["bearer"], "must not be empty."),
        ({"token": "a"}, ["token"], "is not known here."),
        ({"basic": "ada:s3cret"}, ["basic", "_schema"], "must be an object of names and values."),
        ({"basic": {"user": "ada"}}, ["basic", "password"], "is required."),
        ({"basic": {"user": "a:b", "password": "c"}}, ["basic", "user"], "must hold no colon."),
        ({"header": {"name": "X Key", "value": "a"}}, ["header", "name"], "must be a header's name"),
        ({"header": {"name": "X-Key", "value": " "}}, ["header", "value"], "must not be empty."),
        ({"standard_webhooks": "whsec_"}, ["standard_webhooks"], "must be base64"),
        ({"standard_webhooks": "s3cret!"}, ["standard_webhooks"], "must be base64"),
        ({"url_only": "perhaps"}, ["url_only"], "must be true or false."),
        (hmac_dials(algorithm="md5"), ["hmac", "algorithm"], "must be one of: sha256, sha1."),
        (hmac_dials(header="a b"), ["hmac", "header"], "must be a header's name"),
        (hmac_dials(tolerance=0), ["hmac", "tolerance"], "must be between 1 and 86400."),
        (hmac_dials(tolerance=True), ["hmac", "tolerance"], "must be a whole number."),
        (hmac_dials(secret_form="base64"), ["hmac", "secret"], "must be base64"),
        (hmac_dials(message="{timestamp}"), ["hmac", "message"], "must hold {body}"),
        (hmac_dials(message="{id}.{body}"), ["hmac", "message"], "knows {body} and {timestamp}, not {id}."),
        (hmac_dials(message="{timestamp}{body}"), ["hmac", "timestamp_header"], "is required when"),
        (hmac_dials(timestamp_header="X-Time"), ["hmac", "message"], "must hold {timestamp}"),
    ],
)
def test_a_fault_is_told_where_it_stands_and_without_the_secret(credentials, place, told):
    found = problems(credentials)
    for name in place:
        found = found[name]
    assert found[0].startswith(told)
    assert "s3cret" not in str(found)


def test_secrets_are_loaded_so_that_nothing_shows_them():
    loaded = repr([load(credentials) for credentials, _ in PROOFS.values()])
    for secret in ("t0ken", "żółw", "k3y", "whsec_", "client-secret-1", "Y2xpZW50"):
        assert secret not in loaded


# --- events


@pytest.mark.parametrize(
    ("recording", "kind", "subject", "event_id", "email"),
    [
        ("ticket_closed_nested", EventKind.TICKET_CLOSED, "ticket:35436", "evt-1", "lucja.nowak@example.com"),
        ("ticket_closed_flat", EventKind.TICKET_CLOSED, "ticket:35436", "evt-2", "lucja.nowak@example.com"),
        ("ticket_closed_form", EventKind.TICKET_CLOSED, "ticket:35436", "evt-3", "lucja.nowak@example.com"),
        ("ticket_closed_query", EventKind.TICKET_CLOSED, "ticket:35436", "evt-4", "lucja.nowak@example.com"),
        ("ticket_closed_form_latin2_bytes", EventKind.TICKET_CLOSED, "ticket:35436", None, "lucja.nowak@example.com"),
        ("ticket_closed_form_with_json_field", EventKind.TICKET_CLOSED, "ticket:35436", None, None),
        ("byte_order_mark", EventKind.TICKET_CLOSED, "ticket:35436", None, "lucja.nowak@example.com"),
        ("lone_surrogate", EventKind.TICKET_CLOSED, "ticket:35436", None, "lucja.nowak@example.com"),
        ("ticket_reopened", EventKind.TICKET_REOPENED, "ticket:35436", None, None),
        ("chat_ended_nested", EventKind.CHAT_ENDED, "chat:RVU5JEL87S", "evt-5", "ada@example.com"),
        ("chat_ended_flat", EventKind.CHAT_ENDED, "chat:RVU5JEL87S", None, "ada@example.com"),
        ("crm_changed_nested", EventKind.CRM_CHANGED, "crm:deal:900719925474099312", "evt-6", "ada@example.com"),
        ("crm_changed_form", EventKind.CRM_CHANGED, "crm:deal:9007", None, "ada@example.com"),
        ("unknown_kind", EventKind.UNSUPPORTED, "ticket:35436", None, None),
        ("nothing_known", EventKind.UNSUPPORTED, None, None, None),
        ("wrong_shapes", EventKind.TICKET_CLOSED, None, None, None),
    ],
)
def test_what_happened_to_what_and_who_is_the_customer(load_trigger, recording, kind, subject, event_id, email):
    [event] = generic.parse(load_trigger("generic", recording))
    assert (event.kind, event.subject, event.id) == (kind, subject, event_id)
    assert event.values.get("person.email") == email


def test_a_list_holds_several_events(load_trigger):
    events = generic.parse(load_trigger("generic", "several_in_a_list"))
    assert [(event.kind, event.subject, event.id) for event in events] == [
        (EventKind.TICKET_CLOSED, "ticket:1", "batch-7-1"),
        (EventKind.CHAT_ENDED, "chat:2", "batch-7-2"),
        (EventKind.UNSUPPORTED, "ticket:3", "batch-7-3"),
    ]


def test_custom_fields_may_have_any_names(load_trigger):
    [event] = generic.parse(load_trigger("generic", "ticket_closed_nested"))
    custom = {name: value for name, value in event.values.items() if name.startswith("ticket.custom.")}
    # One more ends in a full stop, which no mapping could name.
    assert custom == {
        "ticket.custom.order": "77",
        "ticket.custom.Lager-Nr": "5",
        "ticket.custom.flags": ("a", "b"),
    }


def test_bytes_that_are_no_utf8_do_not_lose_the_event_and_are_told(load_trigger):
    [event] = generic.parse(load_trigger("generic", "ticket_closed_form_latin2_bytes"))
    assert event.values["ticket.group.name"] == "Obs\ufffduga"
    assert any("UTF-8" in note for note in event.notes)


def test_an_empty_request_is_a_ping(load_trigger):
    assert generic.parse(load_trigger("generic", "ping_empty")) == []
