"""What every source's address answers, over the whole way in: proof, reading, plan and store, on SQLite."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from plugin.store.tables import metadata
from plugin.triggers.base.recording import read_recording
from tests.contract.test_every_closing import EVERY, SEVERAL, events_of, every_recording, value_at
from tests.contract.test_every_source import ODD_VALUES, SOURCES, loadable, places_in, with_value_at
from tests.triggers.sender import sender_of
from tests.web.installation import Installation

RECORDINGS = Path(__file__).parents[1] / "fixtures/triggers"
#: A request that proves itself and holds whatever: read, or told to be unreadable. Never ours, never “gone”.
ANSWERS = {200, 202, 400}

ONE_CALL = timedelta(seconds=1)
#: Events of one request that are ever taken, whatever the source.
MOST_EVENTS = 1000
#: Recordings that hold lists: of each source its plain closing, and whatever tells of several closings.
LISTS = sorted({*SEVERAL, *((name, sender_of(name).closing or "several_in_a_list") for name in SOURCES)})

CLOSING_SOURCES = [name for name in SOURCES if sender_of(name).closing]
#: Sources of which some proof is asked besides the address.
PROVED = [name for name in SOURCES if not sender_of(name).credentials.get("url_only")]


def key_of(name, told):
    """One address for each source and each way of reading it."""
    place = "-".join([name, *map(str, told.values())]) if told else name
    return f"{place}-0123456789abcdef".replace("_", "-")


class Desks:
    """One installation with an address for each source, and for each way in which its recordings are read."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        told = {(name, json.dumps(sender_of(name).settings_for(stem))) for name, stem in EVERY}
        self.names = {pair: f"source {number}" for number, pair in enumerate(sorted(told))}
        sources = [
            {"name": label, "kind": name, "key": key_of(name, json.loads(how)), "settings": json.loads(how)}
            | {"credentials": loadable(sender_of(name).credentials)}
            for (name, how), label in self.names.items()
        ]
        for source in sources:
            if not source["settings"]:
                del source["settings"]
        rule = {
            "name": "csat",
            "when": {"events": ["ticket.closed", "ticket.reopened", "chat.ended", "crm.changed"]},
            "connection": "lab",
            "call": "add_respondent",
            "parameters": {"cId": "837", "email": "{{ person.email }}", "custom1": "{{ ticket.id }}"},
        }
        lab = {"name": "lab", "vendor": "surveylab", "settings": {"origin": installation.vendor, "api_token": "t0ken"}}
        whole = {"tenant": "acme", "name": "Acme", "timezone": "Europe/Warsaw", "language": "pl"}
        self.tenant = installation.apply(
            json.dumps(whole | {"sources": sources, "connections": [lab], "rules": [rule]})
        )
        self.client = installation.app.test_client()

    def address(self, name, stem):
        return f"/triggers/{key_of(name, sender_of(name).settings_for(stem))}"

    def request(self, name, stem):
        """A recording as it comes to its address, not proved yet."""
        recorded = read_recording((RECORDINGS / name / f"{stem}.json").read_bytes())
        url = f"http://localhost{self.address(name, stem)}{'?' if recorded.query else ''}{recorded.query}"
        return replace(recorded, url=url)

    def send(self, name, stem, request):
        # Each call is a moment of its own, and never more of them come in a minute than may.
        self.installation.clock.time += ONE_CALL
        return self.client.open(
            self.address(name, stem),
            method=request.method,
            query_string=request.query,
            data=request.body,
            headers={key: value for key, value in request.headers.items() if key != "content-length"},
        )

    def now(self):
        return self.installation.clock()

    def stored(self):
        """How many rows there are of everything but what counts refusals."""
        with self.installation.parts.database.read() as db:
            return {
                table.name: db.execute(select(func.count()).select_from(table)).scalar_one()
                for table in metadata.sorted_tables
                if table.name != "counters"
            }


@pytest.fixture(scope="module")
def desks(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("desks"))
    yield Desks(installation)
    installation.close()


def proved_as_now(name, request, now):
    """As its sender proves it at this moment; None where the proof stands in the body and has no place in this one."""
    try:
        return sender_of(name).prove(request, now)
    except (ValueError, TypeError, RecursionError):
        assert sender_of(name).in_body
        return None


@every_recording
def test_a_proved_message_is_taken_or_unreadable_and_never_refused_for_what_it_tells(desks, name, stem):
    request = proved_as_now(name, desks.request(name, stem), desks.now())
    if request is not None:
        answer = desks.send(name, stem, request)
        assert answer.status_code in ({400} if stem.startswith("unreadable_") else {200, 202}), answer.text


# --- who sent it ------------------------------------------------------------------------------------------------------


def assert_refused_without_a_trace(desks, name, stem, request):
    before = desks.stored()
    assert desks.send(name, stem, request).status_code == 401
    assert desks.stored() == before


@pytest.mark.parametrize("name", PROVED)
def test_what_is_not_proved_is_refused_and_leaves_nothing(desks, name):
    sender = sender_of(name)
    plain = desks.request(name, sender.closing)
    proved = sender.prove(plain, desks.now() + ONE_CALL)
    added = [header for header, value in proved.headers.items() if plain.headers.get(header) != value]
    proof = sender.prove(replace(plain, headers={}), desks.now()).headers
    bare = {header: value for header, value in plain.headers.items() if header not in proof}
    assert_refused_without_a_trace(desks, name, sender.closing, replace(plain, headers=bare))
    if sender.covers_body:
        assert_refused_without_a_trace(desks, name, sender.closing, replace(proved, body=proved.body + b" "))
    for header in added:
        for value in (
            "",
            "x",
            proved.headers[header][:-3],
            proved.headers[header][::-1],
            "\u017e".encode().decode("latin-1"),
        ):
            headers = {**proved.headers, header: value}
            assert_refused_without_a_trace(desks, name, sender.closing, replace(proved, headers=headers))


@pytest.mark.parametrize("name", [name for name in PROVED if sender_of(name).timed])
@pytest.mark.parametrize("late", [timedelta(minutes=-11), timedelta(minutes=11), timedelta(days=-400)], ids=str)
def test_a_stale_proof_is_refused_and_leaves_nothing(desks, name, late):
    sender = sender_of(name)
    request = sender.prove(desks.request(name, sender.closing), desks.now() + late)
    assert_refused_without_a_trace(desks, name, sender.closing, request)


@pytest.mark.parametrize(
    ("name", "prove"),
    [pytest.param(name, prove, id=f"{name}-{prove.__name__}") for name in PROVED for prove in sender_of(name).outdated],
)
def test_a_proof_by_an_older_recipe_is_refused_and_leaves_nothing(desks, name, prove):
    closing = sender_of(name).closing
    assert_refused_without_a_trace(desks, name, closing, prove(desks.request(name, closing), desks.now() + ONE_CALL))


# --- whatever it holds ------------------------------------------------------------------------------------------------

FILLINGS = st.binary(max_size=8) | st.sampled_from(
    [
        b'"',
        b"{" * 70,
        b"[" * 70,
        b"null",
        b"\\ud800",
        b"\\u0000",
        b"1e9",
        b"9" * 500,
        b"<!DOCTYPE a>",
        b"&=",
        b"\xef\xbb\xbf",
    ]
)


@st.composite
def spoilt_bytes(draw, body):
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    start = draw(st.integers(0, len(body)))
    if draw(st.booleans()):
        return body[:start]
    return body[:start] + draw(FILLINGS) + body[draw(st.integers(start, min(start + 20, len(body)))) :]


@st.composite
def spoilt_types(draw, body):
    try:
        document = json.loads(body)
    except ValueError:
        return draw(spoilt_bytes(body))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(list(places_in(document))))
        document = with_value_at(document, place, draw(st.sampled_from(ODD_VALUES)))
    return json.dumps(document).encode()


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_proved_message_holds_it_is_taken_or_unreadable(desks, name, data):
    stem = data.draw(st.sampled_from([stem for source, stem in EVERY if source == name]))
    recorded = desks.request(name, stem)
    body = data.draw(spoilt_bytes(recorded.body) | spoilt_types(recorded.body))
    headers = dict(recorded.headers)
    if headers and data.draw(st.booleans()):
        headers[data.draw(st.sampled_from(sorted(headers)))] = data.draw(
            st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30)
        )
    spoilt = replace(recorded, body=body, headers=headers)
    request = proved_as_now(name, spoilt, desks.now() + ONE_CALL)
    allowed = ANSWERS if request is not None else {401}
    answer = desks.send(name, stem, request or spoilt)
    assert answer.status_code in allowed, answer.text


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("inner", [b"[", b'{"a":', b"<a>"], ids=["lists", "objects", "elements"])
def test_a_message_nested_very_deep_is_told_to_be_unreadable(desks, name, inner):
    stem = sender_of(name).closing or next(stem for source, stem in EVERY if source == name)
    plain = desks.request(name, stem)
    for body in (inner * 100_000, plain.body[:-1] + b',"deep":' + inner * 100_000):
        request = proved_as_now(name, replace(plain, body=body, query=""), desks.now() + ONE_CALL)
        assert desks.send(name, stem, request or replace(plain, body=body)).status_code in {400, 401}


@pytest.mark.parametrize(("name", "stem"), LISTS, ids=["-".join(one) for one in LISTS])
def test_of_a_message_with_very_many_events_few_are_taken_or_none(desks, name, stem):
    """Each list of a message is made as long as a body may be."""
    plain = desks.request(name, stem)
    try:
        document = json.loads(plain.body)
    except ValueError:
        return
    for place in [place for place in places_in(document) if isinstance(value_at(document, place), list)]:
        items = value_at(document, place)
        many = 900_000 // (len(json.dumps(items)) + 1) + 1
        body = json.dumps(with_value_at(document, place, items * many)).encode()
        request = replace(plain, body=body)
        assert len(events_of(name, stem, request)) <= MOST_EVENTS, place


@pytest.mark.parametrize("name", CLOSING_SOURCES)
def test_a_closing_that_is_sent_again_hours_later_is_no_second_one(desks, name):
    sender = sender_of(name)
    plain = desks.request(name, sender.closing)
    assert desks.send(name, sender.closing, sender.prove(plain, desks.now() + ONE_CALL)).status_code in {200, 202}
    before = desks.stored()
    desks.installation.clock.advance(hours=5)
    assert desks.send(name, sender.closing, sender.prove(plain, desks.now() + ONE_CALL)).status_code in {200, 202}
    assert desks.stored() == before


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_address_may_be_tried_before_it_is_used(desks, name, method):
    before = desks.stored()
    answer = desks.client.open(desks.address(name, sender_of(name).closing), method=method)
    assert answer.status_code == 200
    assert desks.stored() == before
