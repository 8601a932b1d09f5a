from __future__ import annotations

from datetime import timedelta

import pytest

from plugin.domain.schedule import Ask
from plugin.errors import TenantFileInvalid
from plugin.redaction import Secret
from plugin.tenant_file import check_document, compare_documents, dump_document, read_document
from tests.acme import ACME as TEMPLATE

ACME = TEMPLATE.replace("$sandbox", "https://www.mysurveylab.com")
SECRETS = ("zendesk-secret", "bearer-secret", "lab-token", "0123456789abcdef-key")


def checked(text=ACME, **more):
    return check_document(read_document(text), **more)


def problems(text, **more):
    with pytest.raises(TenantFileInvalid) as caught:
        checked(text, **more)
    for secret in SECRETS:
        assert secret not in str(caught.value)
    return [str(problem) for problem in caught.value.problems]


# --- every fault with its place ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("tenant: acme", "", "tenant: is required."),
        ("tenant: acme", "tenant: Acme Ltd", "tenant: may hold a-z, 0-9, - and _, at most 63 characters, and starts"),
        ("name: Acme\n", "name: ''\n", "name: must have 1 to 200 characters."),
        ("timezone: Europe/Warsaw", "timezone: Warsaw", "timezone: is not a time zone name such as Europe/Warsaw."),
        ("timezone: Europe/Warsaw", "timezone: ../etc/passwd", "timezone: is not a time zone name"),
        ("language: pl", "language: polski jazyk", "language: must be a language tag such as pl or en-GB."),
        ("language: pl", "languages: pl", "languages: is not known here."),
        ("name: desk", "name: ' desk'", "sources[0].name: may hold letters"),
        ("name: any,", "name: desk,", "sources[1].name: another one is named desk too"),
        ("kind: zendesk", "kind: zendsk", "sources[0].kind: there is no kind of source named zendsk; there are:"),
        ("kind: zendesk,", "kind: zendesk, state: off,", "sources[0].state: must be live, test or capture."),
        ("signing_secret: zendesk-secret", "secret: x", "sources[0].credentials.secret: is not known here."),
        ("signing_secret: zendesk-secret", "", "sources[0].credentials.signing_secret: is required."),
        ("kind: zendesk,", "kind: zendesk, key: short,", "sources[0].key: must have 16 to 128 characters"),
        ("kind: zendesk,", "kind: zendesk, key: [0123456789abcdef],", "sources[0].key: must have 16 to 128 characters"),
        ("kind: zendesk,", "kind: zendesk, key: {a: b},", "sources[0].key: must have 16 to 128 characters"),
        ("{bearer: bearer-secret}", "{}", "sources[1].credentials: give exactly one of: bearer, basic"),
        ("{bearer: bearer-secret}", "oops", "sources[1].credentials: must be a list of keys."),
        ("vendor: surveylab", "vendor: labsurvey", "connections[0].vendor: there is no survey vendor named labsurvey"),
        ("api_token: lab-token", "token: lab-token", "connections[0].settings.token: is not known here."),
        ("www.mysurveylab.com", "evil.example", "connections[0].settings.origin: "),
        ("https://www", "http://www", "connections[0].settings.origin: "),
        ("mysurveylab.com", "mysurveylab.com/api", "connections[0].settings.origin: must be scheme and host alone"),
        ("connection: lab", "connection: lap", "rules[0].connection: there is no connection named lap in this file."),
        ("call: add_respondent", "call: add", "rules[0].call: surveylab has no call named add; it has: add_respondent"),
        ("cId:", "cid:", "rules[0].parameters.cid: add_respondent has no such parameter; it has: cId, email"),
        ('email: "{{ person.email }}"', "phone: '1'", "rules[0].parameters.email: is required by add_respondent."),
        ("{{ person.email }}", "{{ person.mail }}", "rules[0].parameters.email: uses `person.mail`"),
        ("{{ person.email }}", "{{ person.email", "rules[0].parameters.email: "),
        ("{{ person.email }}", "{{ person.email | shout }}", "rules[0].parameters.email: "),
        ('cId: "837"', "cId: [837]", "rules[0].parameters.cId: must be text."),
        ("ticket.closed, chat.ended", "ticket.shut", "rules[0].when.events[0]: must be one of: ticket.closed"),
        ("[ticket.closed, chat.ended]", "[]", "rules[0].when.events: must name at least one kind of event."),
        ("    connection: lab", "    sources: [des]\n    connection: lab", "rules[0].sources[0]: there is no source"),
        ("    connection: lab", "    sources: []\n    connection: lab", "rules[0].sources: must name at least one"),
        ("    connection: lab", "    stop: maybe\n    connection: lab", "rules[0].stop: must be true or false."),
        ("    connection: lab", "    ask: 5%\n    connection: lab", "rules[0].ask: must be a list of keys."),
        ("    connection: lab", "    ask: {after: 5}\n    connection: lab", "rules[0].ask.after: is not known here."),
        ("    connection: lab", "    when_uncertain: ask\n    connection: lab", "rules[0].when_uncertain: must be"),
        ("rules:", "rules: none\nold:", "rules: must be a list."),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_place_and_what_would_be_right(before, after, problem):
    assert before in ACME

    told = problems(ACME.replace(before, after, 1))

    assert [one for one in told if one.startswith(problem)], told


@pytest.mark.parametrize(
    ("ask", "problem"),
    [
        ("{delay_minutes: -1}", "delay_minutes: must be between 0 and 43200."),
        ("{delay_minutes: 43201, expires_hours: 720}", "delay_minutes: must be between 0 and 43200."),
        ("{delay_minutes: 1.5}", "delay_minutes: must be a whole number."),
        ("{delay_minutes: soon}", "delay_minutes: must be a whole number."),
        ("{delay_minutes: }", "delay_minutes: must be a whole number."),
        ("{expires_hours: 0}", "expires_hours: must be between 1 and 720."),
        ("{expires_hours: 721}", "expires_hours: must be between 1 and 720."),
        (
            "{delay_minutes: 60, expires_hours: 1}",
            "delay_minutes: 60 minutes must be less than 1 h, after which",
        ),
        ("{delay_minutes: 4320}", "delay_minutes: 4320 minutes must be less than 72 h, after which"),
        ("{delay_minutes: 43200, expires_hours: 720}", "delay_minutes: 43200 minutes must be less than 720 h"),
    ],
)
def test_a_time_to_ask_that_cannot_be_is_told_with_its_place(ask, problem):
    told = problems(ACME.replace("    connection: lab", f"    ask: {ask}\n    connection: lab"))

    assert [one for one in told if one.startswith(f"rules[0].ask.{problem}")], told


@pytest.mark.parametrize(
    ("ask", "delay", "fresh_for"),
    [
        ("{}", timedelta(0), timedelta(hours=72)),
        ("{delay_minutes: 0}", timedelta(0), timedelta(hours=72)),
        ("{delay_minutes: '59', expires_hours: 1}", timedelta(minutes=59), timedelta(hours=1)),
        ("{delay_minutes: 4319}", timedelta(minutes=4319), timedelta(hours=72)),
        ("{delay_minutes: 43199, expires_hours: 720}", timedelta(minutes=43199), timedelta(days=30)),
    ],
)
def test_a_rule_says_when_it_asks(ask, delay, fresh_for):
    [rule] = checked(ACME.replace("    connection: lab", f"    ask: {ask}\n    connection: lab")).rules

    assert rule.ask == Ask(delay, fresh_for)


def test_a_rule_that_may_ask_twice_is_warned_of_and_one_that_holds_is_not():
    resending = checked(ACME.replace("    connection: lab", "    when_uncertain: resend\n    connection: lab"))
    holding = checked(ACME.replace("    connection: lab", "    when_uncertain: hold\n    connection: lab"))

    assert [rule.resend for rule in (*resending.rules, *holding.rules)] == [True, False]
    assert holding.warnings == []
    [warning] = resending.warnings
    assert warning.startswith("rule csat: a call whose answer is lost is made again, so a person may be asked twice")


@pytest.mark.parametrize(
    ("before", "limit", "problem"),
    [
        ("vendor: surveylab,", "limits: {in_flight: 0}", "connections[0].limits.in_flight: must be between 1 and 64."),
        ("vendor: surveylab,", "limits: {in_flight: 65}", "connections[0].limits.in_flight: must be between 1 and 64."),
        (
            "vendor: surveylab,",
            "limits: {calls_per_minute: 60001}",
            "connections[0].limits.calls_per_minute: must be between 1 and 60000.",
        ),
        ("vendor: surveylab,", "limits: {per_hour: 5}", "connections[0].limits.per_hour: is not known here."),
        ("vendor: surveylab,", "limits: 5", "connections[0].limits: must be a list of keys."),
        ("kind: zendesk,", "limit_per_minute: 0", "sources[0].limit_per_minute: must be between 1 and 60000."),
        ("kind: zendesk,", "limit_per_minute: many", "sources[0].limit_per_minute: must be a whole number."),
    ],
)
def test_a_limit_that_cannot_be_is_told_with_its_place(before, limit, problem):
    assert problem in problems(ACME.replace(before, f"{before} {limit},", 1))


def test_what_a_rule_leaves_unsaid_is_not_written_into_its_file():
    assert {"ask", "when_uncertain"}.isdisjoint(checked().document["rules"][0])


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("{field: ticket.tags, op: has, value: vip}", ".op: must be one of: is, is_not"),
        (
            "{field: ticket.tagz, op: is, value: vip}",
            ".field: there is no placeholder ticket.tagz. Did you mean ticket.tags",
        ),
        ("{field: ticket.tags, op: is}", ".value: `is` takes one text."),
        ("{field: ticket.tags, op: is, value: [a]}", ".value: `is` takes one text."),
        ("{field: ticket.tags, op: in, value: a}", ".value: `in` takes a list of texts."),
        ("{field: ticket.tags, op: present, value: a}", ".value: `present` takes no value; leave it out."),
        ("{op: is, value: a}", ".field: is required."),
        ("{any: []}", ".any: must hold at least one condition."),
        ("{any: [{field: ticket.id, op: absent}], op: is}", ": `any` stands alone"),
        ("{any: [{field: ticket.id, op: nope, value: b}]}", ".any[0].op: must be one of"),
        ("ticket.id is 5", ": must be a list of keys."),
    ],
)
def test_a_faulty_condition_is_told_with_its_place(condition, problem):
    told = problems(ACME.replace("chat.ended]}", f"chat.ended], conditions: [{condition}]}}"))

    assert [one for one in told if one.startswith(f"rules[0].when.conditions[0]{problem}")], told


def test_all_faults_are_told_at_once():
    text = (
        ACME.replace("timezone: Europe/Warsaw", "timezone: Warsaw")
        .replace("kind: zendesk", "kind: zendsk")
        .replace("{bearer: bearer-secret}", "{}")
        .replace("mysurveylab.com", "evil.example")
        .replace("api_token: lab-token", "tokn: x")
        .replace("{{ person.email }}", "{{ person.mail }}")
        .replace('cId: "837"', 'cid: "837"')
    ) + "  - {name: later, ask: now}\n"

    places = {problem.split(": ")[0] for problem in problems(text)}

    assert places == {
        "timezone",
        "sources[0].kind",
        "sources[1].credentials",
        "connections[0].settings.origin",
        "connections[0].settings.tokn",
        "connections[0].settings.api_token",
        "rules[0].parameters.cId",
        "rules[0].parameters.cid",
        "rules[0].parameters.email",
        "rules[1].ask",
        "rules[1].when",
        "rules[1].connection",
        "rules[1].call",
    }


def test_a_rule_may_speak_of_a_connection_that_has_a_fault_of_its_own():
    told = problems(ACME.replace("vendor: surveylab", "vendr: surveylab"))

    assert {one.split(": ")[0] for one in told} == {"connections[0].vendor", "connections[0].vendr"}


def test_a_parameter_that_one_brand_lacks_is_told():
    text = ACME.replace(
        'vendor: surveylab, settings: {origin: "https://www.mysurveylab.com", api_token: lab-token}',
        "vendor: startquestion, settings: {brand: webankieta, id_account: '1', webhook_key: k, webhook_auth: a}",
    ).replace("call: add_respondent", "call: send_invitation")
    parameters = '{id_survey: "1", id_template: "2", email: "{{ person.email }}", l11: x}'

    told = problems(text[: text.index("    parameters:")] + f"    parameters: {parameters}\n")

    assert [one.split(": ")[0] for one in told] == ["rules[0].parameters.l11"]


# --- origins ----------------------------------------------------------------------------------------------------------


def test_an_origin_may_be_written_with_a_slash_at_its_end():
    checked(ACME.replace("mysurveylab.com", "mysurveylab.com/"))


def test_an_origin_outside_the_vendors_own_needs_the_operator():
    text = ACME.replace("https://www.mysurveylab.com", "http://127.0.0.1:9000")

    [told] = problems(text)
    assert told.startswith("connections[0].settings.origin: ")
    assert checked(text, extra_origins=["http://127.0.0.1:9000"])


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_a_checked_configuration_holds_its_secrets_as_secrets():
    document = checked().document

    assert document["sources"][0]["credentials"]["signing_secret"] == Secret("zendesk-secret")
    assert not [secret for secret in SECRETS if secret in f"{document}{dump_document(document)}"]


def test_a_kept_secret_is_the_stored_one():
    stored = checked().document

    again = checked(dump_document(stored), stored=stored).document

    assert again == stored


def test_nothing_stored_means_nothing_to_keep():
    told = problems(dump_document(checked().document))

    assert told == [
        f"{place}: there is no stored secret to keep here; write the secret itself."
        for place in (
            "sources[0].credentials.signing_secret",
            "sources[1].credentials.bearer",
            "connections[0].settings.api_token",
        )
    ]


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("kind: zendesk", "kind: generic", "sources[0].credentials.signing_secret"),
        ("vendor: surveylab", "vendor: startquestion", "connections[0].settings.api_token"),
        ("name: desk", "name: other desk", "sources[0].credentials.signing_secret"),
    ],
)
def test_a_secret_is_not_kept_for_another_kind_vendor_or_name(before, after, place):
    stored = checked().document
    text = dump_document(stored)
    assert before in text

    told = problems(text.replace(before, after), stored=stored)

    assert f"{place}: there is no stored secret to keep here; write the secret itself." in told


def test_a_secret_inside_a_group_is_kept_too():
    text = ACME.replace("{bearer: bearer-secret}", "{basic: {user: u, password: bearer-secret}}")
    stored = checked(text).document

    again = checked(dump_document(stored), stored=stored).document

    assert again["sources"][1]["credentials"]["basic"]["password"] == Secret("bearer-secret")


def test_a_variable_stands_for_a_secret_only_where_an_environment_is_given():
    text = ACME.replace("zendesk-secret", "'${ZENDESK}'")

    [told] = problems(text)
    assert (
        told
        == "sources[0].credentials.signing_secret: ${ZENDESK} works in the apply command only; write the value here."
    )
    [told] = problems(text, environment=lambda name: None)
    assert told == "sources[0].credentials.signing_secret: the environment has no variable ZENDESK, or it is empty."
    document = checked(text, environment={"ZENDESK": "from outside"}.get).document
    assert document["sources"][0]["credentials"]["signing_secret"] == Secret("from outside")


def test_a_variable_stands_for_a_whole_value_or_for_itself():
    text = ACME.replace("zendesk-secret", "'a${ZENDESK}'")

    document = checked(text, environment={"ZENDESK": "x"}.get).document

    assert document["sources"][0]["credentials"]["signing_secret"] == Secret("a${ZENDESK}")


def test_a_key_is_a_secret_too_and_may_be_kept():
    text = ACME.replace("kind: zendesk,", "kind: zendesk, key: 0123456789abcdef-key,")
    stored = checked(text).document
    assert "0123456789abcdef-key" not in dump_document(stored)

    assert checked(dump_document(stored), stored=stored).document == stored


def test_a_key_that_was_drawn_is_kept_without_a_line():
    stored = checked().document

    again = checked(ACME.replace("kind: zendesk,", "kind: zendesk, key: {secret: set},"), stored=stored).document

    assert "key" not in again["sources"][0]


# --- comparing --------------------------------------------------------------------------------------------------------


def changes(after, before=ACME):
    old = checked(before).document if before else None
    told = [str(change) for change in compare_documents(old, checked(after).document)]
    assert not [secret for secret in SECRETS if secret in str(told)]
    return told


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("name: Acme\n", "name: Acme Ltd\n", "tenant: name changes from Acme to Acme Ltd."),
        ("zendesk-secret", "another", "source desk: credentials.signing_secret changes (not shown)."),
        ("{bearer: bearer-secret}", "{url_only: true}", "source any: credentials.bearer is removed (not shown)."),
        ("kind: zendesk,", "kind: zendesk, state: test,", "source desk: state changes from live to test."),
        (
            "kind: zendesk,",
            "kind: zendesk, key: 0123456789abcdef-key,",
            "source desk: key is set (not shown).",
        ),
        ("lab-token", "another", "connection lab: settings.api_token changes (not shown)."),
        ('cId: "837"', 'cId: "838"', "rule csat: parameters.cId changes from 837 to 838."),
        (
            "ticket.closed, chat.ended",
            "chat.ended",
            "rule csat: when.events changes from [ticket.closed, chat.ended] to",
        ),
        ("    connection: lab", "    stop: true\n    connection: lab", "rule csat: stop changes from false to true."),
        ("name: csat", "name: asked", "rule csat: is removed; what waits for it is cancelled."),
        ("name: any", "name: chats", "source any: is removed; its address answers 404 from then on."),
    ],
)
def test_a_change_is_told_in_a_sentence(before, after, told):
    assert [one for one in changes(ACME.replace(before, after, 1)) if one.startswith(told)]


def test_nothing_changed_is_no_change():
    assert changes(ACME) == []


def test_another_order_of_the_rules_is_a_change():
    second = """
  - name: second
    when: {events: [ticket.closed]}
    connection: lab
    call: add_respondent
    parameters: {cId: "838", email: "{{ person.email }}"}
"""
    head, first = ACME.split("rules:\n")

    told = changes(f"{head}rules:\n{second}{first}", before=ACME + second)

    assert told == ["rules: are decided in another order: second, csat."]


def test_a_new_tenant_is_told_with_all_that_it_brings():
    assert changes(ACME, before=None) == [
        "tenant acme: is created.",
        "source desk: is added.",
        "source any: is added.",
        "connection lab: is added.",
        "rule csat: is added.",
    ]
