"""The sandbox over a real socket, and that it and the connectors speak the same language."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from plugin import registry
from plugin.domain.event import Event
from plugin.domain.outcome import Accepted, NextRequest, Outcome, Reason, Rejected
from plugin.domain.rule import Rule, choose_rules
from plugin.domain.survey_call import SurveyCall
from plugin.outbound import Outbound
from plugin.sandbox.base import TROUBLES
from plugin.sandbox.samples import DEMO_SOURCES, Sample, demo_tenant_yaml, sample_triggers
from plugin.sandbox.server import REMEMBERED, Ledger, Received, Sandbox, create_sandbox_app, sandbox_modules
from plugin.tenant_file import check_document, read_document
from plugin.triggers.base import InboundRequest

LAB = {"cId": "8379", "crk": "k3v9x0q2"}
WEB = {"id_survey": "419349", "id_template": "3593"}
LIME = {"survey_id": "282267"}
SMS = {"type_id": "15", "project_id": "99", "phone": "+48221234567"}
MEMBER = {"surveyID": "11372241"}
#: What a described vendor needs at least.
OWN = {
    "path": "/custom/invitations/{survey}",
    "json": '{"to": "{email}"}',
    "headers": {"Authorization": "Bearer {secret:token}"},
    "secrets": {"token": "a-token"},
    "parameters": {"survey": {"required": True}, "email": {"kind": "email", "required": True}},
    "answers": [{"look": [{"at": "state", "is": "queued"}], "means": "accepted"}],
}
#: A call of each kind, and the parameter that takes a magic word.
CALLS = {
    ("surveylab", "add_respondent"): (LAB, "email"),
    ("surveylab", "page_tag"): ({"cId": "8379"}, "email"),
    ("sendios", "send_sms"): (SMS, "client_user_id"),
    ("startquestion", "send_invitation"): (WEB, "email"),
    ("startquestion", "send_invitation_to_token"): (WEB, "token"),
    ("startquestion", "add_respondent"): ({"id_survey": "419349"}, "email"),
    ("startquestion", "update_respondent"): ({"id_survey": "419349"}, "id_respondent"),
    ("startquestion", "unsubscribe"): ({}, "email"),
    ("startquestion", "shorten_link"): ({"id_survey": "419349"}, "user_token"),
    ("limesurvey", "invite"): (LIME, "email"),
    ("questionpro", "micropanel_batch"): (MEMBER, "emailAddress"),
    ("questionpro", "survey_batch"): ({**MEMBER, "templateID": "490627"}, "emailAddress"),
    ("custom", "send"): ({"survey": "s-17"}, "email"),
}
#: More steps than any call has, also where a session is opened anew on the way.
MOST_STEPS = 12


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(slow_seconds=0.2) as running:
        yield running


def settings_for(vendor: str, origin: str, **more: Any) -> Mapping[str, Any]:
    settings = {
        "sendios": {"origin": origin, "client_id": "123", "api_key": "a-key"},
        "surveylab": {"origin": origin, "link_origin": origin, "api_token": "a-token"},
        "startquestion": {
            "brand": "netquest_cz", "id_account": "1", "webhook_key": "k/+=", "webhook_auth": "a", "origin": origin,
        },
        "limesurvey": {"origin": origin, "username": "admin", "password": "a-password"},
        "questionpro": {"data_centre": "eu", "api_key": "a-key", "origin": origin},
        "custom": {"origin": origin, **OWN},
    }  # fmt: skip
    return registry.vendor(vendor).VENDOR.connection().load({**settings[vendor], **more})


@dataclass(frozen=True)
class Caller:
    """Makes survey calls at the sandbox, through the same door as the worker."""

    door: Outbound
    origin: str

    def ask(self, vendor: str, name: str, parameters: Mapping[str, str], **settings: Any) -> Outcome:
        module = registry.vendor(vendor)
        declared = module.VENDOR.calls[name]
        connection = settings_for(vendor, self.origin, **settings)
        schema = registry.parameters(declared, registry.described_parameters(vendor, name, connection))
        call = SurveyCall(vendor, name, schema.load(parameters))
        reader = registry.reader(vendor, connection)
        outcome: Outcome = NextRequest(declared.steps[0].name)
        for _ in range(MOST_STEPS):
            if not isinstance(outcome, NextRequest):
                break
            step, memory = outcome.step, outcome.memory
            request = module.build_request(call, connection, step, memory)
            response = self.door.send(request, allowed_origins=())
            outcome = reader(call, response, step, memory)
        return outcome


@pytest.fixture(scope="module")
def caller(sandbox: Sandbox) -> Iterator[Caller]:
    with Outbound(user_agent="tests", extra_origins=[sandbox.origin]) as door:
        yield Caller(door, sandbox.origin)


def get(sandbox: Sandbox, path: str) -> tuple[int, http.client.HTTPMessage, str]:
    connection = http.client.HTTPConnection(urlsplit(sandbox.origin).netloc, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


# --- answers ----------------------------------------------------------------------------------------------------------


def test_every_call_of_every_vendor_can_be_tried() -> None:
    offered = {(vendor, name) for vendor in registry.vendor_names() for name in registry.vendor(vendor).VENDOR.calls}
    assert set(CALLS) == offered


@pytest.mark.parametrize(("vendor", "name"), CALLS)
def test_an_ordinary_call_is_accepted(caller: Caller, vendor: str, name: str) -> None:
    parameters, person = CALLS[vendor, name]
    assert isinstance(caller.ask(vendor, name, {**parameters, person: "lucja@example.com"}), Accepted)


@pytest.mark.parametrize(
    ("vendor", "name", "word", "reason"),
    [
        ("surveylab", "add_respondent", "polish", Reason.DONE),
        ("surveylab", "add_respondent", "failed", Reason.REFUSED),
        ("surveylab", "add_respondent", "invalid", Reason.INVALID_CALL),
        ("surveylab", "add_respondent", "wrong-token", Reason.CREDENTIALS),
        ("surveylab", "add_respondent", "unknown", Reason.NOT_FOUND),
        ("surveylab", "add_respondent", "busy", Reason.RATE_LIMITED),
        ("surveylab", "add_respondent", "error", Reason.VENDOR_UNAVAILABLE),
        ("surveylab", "add_respondent", "broken", Reason.UNRECOGNISED),
        ("surveylab", "page_tag", "unknown", Reason.NOT_FOUND),
        ("surveylab", "page_tag", "broken", Reason.OPENED),
        ("sendios", "send_sms", "wrong-key", Reason.CREDENTIALS),
        ("sendios", "send_sms", "refused", Reason.REFUSED),
        ("sendios", "send_sms", "busy", Reason.RATE_LIMITED),
        ("sendios", "send_sms", "error", Reason.REFUSED),
        ("sendios", "send_sms", "undecided", Reason.UNRECOGNISED),
        ("startquestion", "send_invitation", "quota", Reason.QUOTA),
        ("startquestion", "send_invitation", "quoted", Reason.QUOTA),
        ("startquestion", "send_invitation", "refused", Reason.REFUSED),
        ("startquestion", "send_invitation", "busy", Reason.RATE_LIMITED),
        ("startquestion", "send_invitation", "empty", Reason.UNRECOGNISED),
        ("startquestion", "send_invitation", "down", Reason.VENDOR_UNAVAILABLE),
        ("startquestion", "send_invitation", "gateway", Reason.VENDOR_ERROR),
        ("startquestion", "send_invitation_to_token", "unsubscribed", Reason.OPTED_OUT),
        ("startquestion", "send_invitation_to_token", "wrong-token", Reason.UNKNOWN_RESPONDENT),
        ("startquestion", "add_respondent", "invalid", Reason.INVALID_ADDRESS),
        ("startquestion", "update_respondent", "unsubscribed", Reason.UNKNOWN_RESPONDENT),
        ("startquestion", "unsubscribe", "invalid", Reason.INVALID_ADDRESS),
        ("startquestion", "shorten_link", "wrapped", Reason.DONE),
        ("startquestion", "shorten_link", "elsewhere", Reason.UNRECOGNISED),
        ("custom", "send", "refused", Reason.UNRECOGNISED),
        ("custom", "send", "quota", Reason.QUOTA),
        ("custom", "send", "busy", Reason.RATE_LIMITED),
        ("custom", "send", "conflict", Reason.INVALID_CALL),
        ("custom", "send", "error", Reason.VENDOR_ERROR),
        ("limesurvey", "invite", "add-refused", Reason.INVALID_ADDRESS),
        ("limesurvey", "invite", "add-unknown", Reason.UNRECOGNISED),
        ("limesurvey", "invite", "add-warning", Reason.UNRECOGNISED),
        ("limesurvey", "invite", "add-down", Reason.VENDOR_UNAVAILABLE),
        ("limesurvey", "invite", "add-gateway", Reason.VENDOR_ERROR),
        ("limesurvey", "invite", "expired", Reason.DONE),
        ("limesurvey", "invite", "forgotten", Reason.CREDENTIALS),
        ("limesurvey", "invite", "opted-out", Reason.OPTED_OUT),
        ("limesurvey", "invite", "answered", Reason.REFUSED),
        ("limesurvey", "invite", "unmailable", Reason.INVALID_ADDRESS),
        ("limesurvey", "invite", "invited", Reason.DONE),
        ("limesurvey", "invite", "mail-down", Reason.VENDOR_UNAVAILABLE),
        ("limesurvey", "invite", "bounced", Reason.INVALID_ADDRESS),
        ("limesurvey", "invite", "too-early", Reason.REFUSED),
        ("limesurvey", "invite", "too-late", Reason.REFUSED),
        ("limesurvey", "invite", "unknown", Reason.UNRECOGNISED),
        ("limesurvey", "invite", "exception", Reason.UNRECOGNISED),
        ("limesurvey", "invite", "down", Reason.VENDOR_UNAVAILABLE),
        ("limesurvey", "invite", "gateway", Reason.VENDOR_ERROR),
        ("questionpro", "micropanel_batch", "bad-url", Reason.INVALID_CALL),
        ("questionpro", "micropanel_batch", "not-json", Reason.INVALID_CALL),
        ("questionpro", "micropanel_batch", "bad-body", Reason.INVALID_CALL),
        ("questionpro", "micropanel_batch", "bad-parameters", Reason.INVALID_CALL),
        ("questionpro", "micropanel_batch", "wrong-key", Reason.CREDENTIALS),
        ("questionpro", "micropanel_batch", "not-granted", Reason.CREDENTIALS),
        ("questionpro", "micropanel_batch", "forbidden", Reason.CREDENTIALS),
        ("questionpro", "micropanel_batch", "unknown", Reason.NOT_FOUND),
        ("questionpro", "micropanel_batch", "allowance", Reason.QUOTA),
        ("questionpro", "micropanel_batch", "busy", Reason.RATE_LIMITED),
        ("questionpro", "micropanel_batch", "unable", Reason.VENDOR_ERROR),
        ("questionpro", "micropanel_batch", "short", Reason.NOT_FOUND),
        ("questionpro", "micropanel_batch", "misprint", Reason.INVALID_CALL),
        ("questionpro", "micropanel_batch", "inside", Reason.INVALID_CALL),
        ("questionpro", "micropanel_batch", "down", Reason.VENDOR_UNAVAILABLE),
        ("questionpro", "micropanel_batch", "broken", Reason.UNRECOGNISED),
        ("questionpro", "survey_batch", "allowance", Reason.QUOTA),
        ("questionpro", "survey_batch", "unable", Reason.VENDOR_ERROR),
        ("questionpro", "survey_batch", "empty", Reason.UNRECOGNISED),
    ],
)
def test_a_magic_word_brings_its_answer(caller: Caller, vendor: str, name: str, word: str, reason: Reason) -> None:
    parameters, person = CALLS[vendor, name]
    value = f"{word.upper()}@example.com" if person.startswith("email") else word
    assert caller.ask(vendor, name, {**parameters, person: value}).reason is reason  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("vendor", "name", "settings", "reason"),
    [
        ("surveylab", "add_respondent", {"api_token": "wrong"}, Reason.INVALID_CALL),
        ("sendios", "send_sms", {"api_key": "wrong"}, Reason.CREDENTIALS),
        ("custom", "send", {"secrets": {"token": "wrong"}}, Reason.CREDENTIALS),
        ("startquestion", "send_invitation", {"webhook_key": "wrong"}, Reason.CREDENTIALS),
        ("startquestion", "send_invitation", {"webhook_auth": "wrong"}, Reason.CREDENTIALS),
        ("limesurvey", "invite", {"password": "wrong"}, Reason.CREDENTIALS),
        ("limesurvey", "invite", {"password": "forgetful"}, Reason.CREDENTIALS),
        ("limesurvey", "invite", {"password": "locked"}, Reason.RATE_LIMITED),
        ("questionpro", "micropanel_batch", {"api_key": "wrong"}, Reason.CREDENTIALS),
        ("questionpro", "survey_batch", {"api_key": "wrong"}, Reason.CREDENTIALS),
    ],
)
def test_wrong_credentials_are_refused(
    caller: Caller, vendor: str, name: str, settings: dict[str, Any], reason: Reason
) -> None:
    parameters, person = CALLS[vendor, name]
    outcome = caller.ask(vendor, name, {**parameters, person: "lucja@example.com"}, **settings)
    assert outcome.reason is reason  # type: ignore[union-attr]  # each of these outcomes has one


@pytest.mark.parametrize(
    "path",
    [
        "/api.php?apiToken=t&cId=1&email=a%40b",
        "/api.php?cId=1&email=a%40b&crk=1",
        "/pageTag/SurveyCampaign/referrer/1",
        "/pageTag/SurveyCampaign/cId/1/referrer",
        "/pageTag/SurveyCampaign/cId/1/35436/referrer",
        "/webhooks/1/k/a/delete-respondent?email=a%40b",
        "/v1/push/system",
        "/nothing//here",
        "//api.php",
    ],
)
def test_an_incomplete_or_unknown_call_is_not_answered_with_success(sandbox: Sandbox, path: str) -> None:
    assert get(sandbox, path)[0] in {400, 404}


def test_a_call_without_its_person_is_answered_with_an_error(sandbox: Sandbox) -> None:
    status, _, body = get(sandbox, "/webhooks/1/k/a/send-invitation?id_survey=1&id_template=2")
    assert (status, json.loads(body)["type"]) == (200, "error")


def test_an_sms_without_its_type_or_its_key_is_answered_with_an_error(sandbox: Sandbox, caller: Caller) -> None:
    status, _, body = get(sandbox, "/v1/sms/send/system")
    assert (status, json.loads(body)["data"]) == (401, {"error": "Authorization base64 data wrong or invalid"})
    outcome = caller.ask("sendios", "send_sms", {**SMS, "type_id": "0", "client_user_id": "1"})
    assert outcome == Rejected(Reason.INVALID_CALL, "Missing parameter")


def test_a_slow_answer_keeps_the_caller_waiting(sandbox: Sandbox) -> None:
    begun = time.monotonic()
    get(sandbox, "/api.php?apiToken=t&cId=1&email=slow%40example.com&crk=1")
    assert time.monotonic() - begun >= 0.2


def test_stopping_lets_a_waiting_caller_go() -> None:
    with Sandbox(slow_seconds=60) as sandbox:
        connection = http.client.HTTPConnection(urlsplit(sandbox.origin).netloc, timeout=10)
        connection.request("GET", "/api.php?apiToken=t&cId=1&email=slow%40example.com&crk=1")
        while not sandbox.received:
            time.sleep(0.01)
    assert connection.getresponse().status == 200
    connection.close()


# --- what arrives -----------------------------------------------------------------------------------------------------

TEXTS = [
    "a&b=c+d#e/f?g%20h;i",
    "\"double\" 'single' „polskie” «ukrajinské» `back`",
    "line one\nline two\r\n\ttabbed",
    "Zażółć gęślą jaźń",
    "Příliš žluťoučký kůň úpěl ďábelské ódy",
    "Щедрий ґанок їжака, б'є об'єктив",
    "🙂 👩‍👩‍👧 e\u0301",
    "%2E%2E %00 {{ ticket.id }} <script>alert(1)</script>",
    "../.. ./a",
    "  spaces around  ",
    "+",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    ("vendor", "name", "parameter", "method"),
    [
        ("surveylab", "add_respondent", "custom1", "post"),
        ("startquestion", "send_invitation", "l1", "post"),
        ("startquestion", "send_invitation", "l1", "get"),
    ],
)
def test_a_value_arrives_as_it_was_in_the_ticket(
    sandbox: Sandbox, caller: Caller, vendor: str, name: str, parameter: str, method: str, text: str
) -> None:
    parameters, person = CALLS[vendor, name]
    settings = {"method": method} if vendor == "startquestion" else {}
    caller.ask(vendor, name, {**parameters, person: "lucja@example.com", parameter: text}, **settings)
    assert dict(sandbox.received[-1].parameters)[parameter] == text


# A part that is only dots is refused before it is sent: tests/surveys/test_surveylab.py.
@pytest.mark.parametrize("text", [*(text for text in TEXTS if not text.startswith("..")), "a/b", "...", ".a/b."])
def test_a_value_in_a_path_arrives_as_it_was_in_the_ticket(sandbox: Sandbox, caller: Caller, text: str) -> None:
    caller.ask("surveylab", "page_tag", {"cId": "1", "referrer": text, "custom8": "last"})
    assert sandbox.received[-1].path == (
        "pageTag", "SurveyCampaign", "cId", "1", "referrer", text, "custom8", "last",
    )  # fmt: skip


def test_keys_in_a_path_arrive_as_they_were_saved(sandbox: Sandbox, caller: Caller) -> None:
    caller.ask("startquestion", "send_invitation", {**WEB, "email": "lucja@example.com"})
    assert sandbox.received[-1].path == ("webhooks", "1", "k/+=", "a", "send-invitation")


def test_one_call_is_received_once(sandbox: Sandbox, caller: Caller) -> None:
    before = len(sandbox.received)
    caller.ask("surveylab", "add_respondent", {**LAB, "email": "lucja@example.com"})
    assert len(sandbox.received) == before + 1


# --- the page ---------------------------------------------------------------------------------------------------------


def test_a_new_sandbox_says_that_nothing_came_in_yet() -> None:
    page = create_sandbox_app(Ledger(), lambda: None).test_client().get("/").get_data(as_text=True)
    assert "Nothing yet." in page


def test_the_page_lists_the_newest_call_first() -> None:
    client = create_sandbox_app(Ledger(), lambda: None).test_client()
    client.get("/api.php?apiToken=t&cId=first&email=a%40b&crk=1")
    client.get("/api.php?apiToken=t&cId=second&email=a%40b&crk=2")
    page = client.get("/").get_data(as_text=True)
    assert 0 < page.index("second") < page.index("first")


def test_the_page_explains_every_magic_word() -> None:
    page = create_sandbox_app(Ledger(), lambda: None).test_client().get("/").get_data(as_text=True)
    words = {word for module in sandbox_modules().values() for word in module.TRICKS}
    assert words >= TROUBLES.keys()
    assert not [word for word in words if f"<code>{word}</code>" not in page]


def test_what_strangers_send_is_shown_and_not_run() -> None:
    client = create_sandbox_app(Ledger(), lambda: None).test_client()
    client.post("/anything", data="<script>alert(1)</script>", content_type="text/plain")
    client.get("/api.php?apiToken=t&cId=1&email=a%40b&crk=%3Cscript%3E")
    answer = client.get("/")
    assert "<script" not in answer.get_data(as_text=True)
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_the_page_asks_nobody_else() -> None:
    page = create_sandbox_app(Ledger(), lambda: None).test_client().get("/").get_data(as_text=True)
    assert "://" not in page


def test_the_list_can_be_read_by_programs(sandbox: Sandbox, caller: Caller) -> None:
    caller.ask("startquestion", "send_invitation", {**WEB, "email": "lucja@example.com", "l1": "Łucja"})
    newest = json.loads(get(sandbox, "/received.json")[2])["received"][0]
    assert newest["vendor"] == "startquestion"
    assert newest["method"] == "POST"
    assert newest["path"][-1] == "send-invitation"
    assert ["l1", "Łucja"] in newest["form"]
    assert newest["answer"]["status"] == 200


def test_a_busy_day_over_sockets_is_survived_and_shown(sandbox: Sandbox) -> None:
    before = sandbox.received[-1].number if sandbox.received else 0
    paths = ["/api.php?apiToken=t&cId=1&email=a%40b&crk={0}", "/webhooks/1/k/a/unsubscribe?email=a%40b&{0}", "/{0}"]
    calls = [paths[number % len(paths)].format(number) for number in range(REMEMBERED + 100)]
    with ThreadPoolExecutor(8) as callers:
        statuses = set(callers.map(lambda path: get(sandbox, path)[0], calls))

    assert statuses == {200, 404}
    assert sandbox.received[-1].number == before + len(calls)
    assert len(sandbox.received) == REMEMBERED
    status, _, page = get(sandbox, "/")
    assert (status, page.count("<article>")) == (200, REMEMBERED)


def test_a_sandbox_can_listen_at_an_address_of_ipv6() -> None:
    with Sandbox("::1") as running:
        assert running.origin.startswith("http://[::1]:")
        assert get(running, "/received.json")[0] == 200


def test_only_the_newest_calls_are_remembered() -> None:
    ledger = Ledger()
    client = create_sandbox_app(ledger, lambda: None).test_client()
    for _ in range(REMEMBERED + 2):
        client.get("/x")
    numbers = [call.number for call in ledger.calls()]
    assert (numbers[0], numbers[-1], len(numbers)) == (3, REMEMBERED + 2, REMEMBERED)


def test_a_body_that_is_too_large_is_not_remembered() -> None:
    ledger = Ledger()
    answer = create_sandbox_app(ledger, lambda: None).test_client().post("/x", data=b"x" * 100_000)
    assert (answer.status_code, ledger.calls()) == (413, [])


def test_nothing_that_was_received_is_logged(
    sandbox: Sandbox, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caller.ask("surveylab", "add_respondent", {**LAB, "email": "lucja@example.com"})
    assert not [record for record in caplog.records if record.name.startswith(("werkzeug", "plugin", "flask"))]
    assert "lucja" not in repr(sandbox.received[-1])


def test_a_taken_port_is_an_error_that_can_be_handled(sandbox: Sandbox) -> None:
    port = urlsplit(sandbox.origin).port
    assert port is not None
    with pytest.raises(OSError, match="use"):
        Sandbox(port=port).start()


def test_a_sandbox_that_was_not_started_has_no_address() -> None:
    with pytest.raises(RuntimeError):
        _ = Sandbox().origin


def test_what_was_received_keeps_the_time() -> None:
    ledger = Ledger()
    before = datetime.now(UTC)
    create_sandbox_app(ledger, lambda: None).test_client().get("/x")
    [call] = ledger.calls()
    assert isinstance(call, Received)
    assert before <= call.time <= datetime.now(UTC)


# --- samples ----------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SECRETS = {"support": 'text "quoted"', "chat": "c: #secret", "crm": "$token"}


def numbered() -> Any:
    numbers = count(1)
    return lambda: f"id{next(numbers)}"


def event_of(sample: Sample) -> Event:
    headers = {name.lower(): value for name, value in sample.headers.items()}
    [event] = registry.source(sample.source_kind).parse(InboundRequest(sample.method, "", headers, sample.body))
    return event


def test_a_sample_is_read_by_its_source() -> None:
    kinds = {}
    for sample in sample_triggers(NOW, numbered()):
        event = event_of(sample)
        assert event.id is not None
        assert event.subject is not None
        assert str(event.values["person.email"]).endswith("@example.com")
        kinds[sample.title] = str(event.kind)
    assert kinds == {
        "A ticket was solved": "ticket.closed",
        "A vip's ticket was solved": "ticket.closed",
        "A ticket tagged no_survey was solved": "ticket.closed",
        "A chat ended": "chat.ended",
        "A deal was won": "crm.changed",
    }


def test_no_sample_repeats_one_of_an_earlier_run() -> None:
    fresh = numbered()
    first, second = sample_triggers(NOW, fresh), sample_triggers(NOW, fresh)
    assert not {sample.body for sample in first} & {sample.body for sample in second}
    ids = [sample.headers.get("X-Zendesk-Webhook-Invocation-Id") for sample in (*first, *second)]
    given = [found for found in ids if found is not None]
    assert len(set(given)) == len(given) == 6


def demo() -> dict[str, Any]:
    return yaml.safe_load(demo_tenant_yaml("http://127.0.0.1:9000", SECRETS))


def test_the_demo_tenant_has_every_sample_s_source() -> None:
    sources = {source["name"]: source["kind"] for source in demo()["sources"]}
    assert sources == DEMO_SOURCES
    assert {(sample.source, sample.source_kind) for sample in sample_triggers(NOW, numbered())} == set(sources.items())


def test_the_demo_tenant_s_sources_have_the_secrets_given() -> None:
    for source in demo()["sources"]:
        registry.source(source["kind"]).SOURCE.credentials().load(source["credentials"])
    found = json.dumps([source["credentials"] for source in demo()["sources"]])
    assert not [secret for secret in SECRETS.values() if json.dumps(secret) not in found]


def test_the_demo_tenant_calls_nobody_but_the_sandbox() -> None:
    for connection in demo()["connections"]:
        vendor = registry.vendor(connection["vendor"])
        settings = vendor.VENDOR.connection().load(connection["settings"])
        for name in vendor.VENDOR.calls:
            call = SurveyCall(connection["vendor"], name, {})
            assert vendor.build_request(call, settings, "", {}).origin == "http://127.0.0.1:9000"


def demo_rules() -> Sequence[Rule]:
    text = demo_tenant_yaml("http://127.0.0.1:9000", SECRETS)
    return check_document(read_document(text), extra_origins=["http://127.0.0.1:9000"]).rules


def test_the_demo_tenant_has_no_fault_where_the_sandbox_is_allowed() -> None:
    assert [rule.name for rule in demo_rules()] == ["vip tickets", "solved tickets", "after a chat", "won deals"]


def test_the_samples_show_a_yes_a_no_and_a_stop() -> None:
    causes = {}
    for sample in sample_triggers(NOW, numbered()):
        event = event_of(sample)
        chosen = choose_rules(demo_rules(), sample.source, event.kind, event.values.get)
        causes[sample.title] = [str(verdict.cause) for _, verdict in chosen]
    assert causes == {
        "A ticket was solved": ["condition", "matched", "other_source", "other_source"],
        "A vip's ticket was solved": ["matched", "stopped", "other_source", "other_source"],
        "A ticket tagged no_survey was solved": ["condition", "condition", "other_source", "other_source"],
        "A chat ended": ["other_source", "other_source", "matched", "other_source"],
        "A deal was won": ["other_source", "other_source", "other_source", "matched"],
    }
