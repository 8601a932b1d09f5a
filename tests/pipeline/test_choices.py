"""What a vendor lists for a connection: all its pages, never for long, and why not when it does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest

from plugin.errors import NotAllowed, NotFound
from plugin.outbound import Outbound
from plugin.pipeline.choices import PAGES, Chooser, lists_of
from plugin.registry import Choices
from plugin.sandbox.server import Sandbox
from plugin.store import connections
from plugin.surveys import startquestion
from tests.acme import ACME, Acme

WEB = """
  - name: web
    vendor: startquestion
    settings: {brand: webankieta, id_account: "171257", webhook_key: KEY, webhook_auth: auth-canary, origin: "$sandbox"}
rules:"""
SURVEYS = startquestion.LISTS["surveys"]


def choices(acme: Acme, key: str = "key-canary", origin: str | None = None, chooser: Chooser | None = None, **more):
    """The connection's lists, asked for now."""
    acme.apply(ACME.replace("\nrules:", WEB.replace("KEY", key)), origin=origin)
    with acme.parts.database.read() as db:
        connection = connections.connection_by_name(db, acme.tenant.id, more.pop("connection", "web"))
    return (chooser or acme.parts.chooser()).choices(connection, **more)


def chooser(acme: Acme, origin: str) -> Chooser:
    def door() -> Outbound:
        return Outbound(user_agent="tests", extra_origins=[origin])

    return Chooser(door, acme.parts.vault, monotonic=time.monotonic)


def test_every_page_of_a_list_is_read(acme):
    [surveys] = choices(acme)

    assert (surveys.name, surveys.label, surveys.parameters) == ("surveys", "Surveys of the account", ("id_survey",))
    assert (len(surveys.items), surveys.more, surveys.problem) == (45, False, "")
    assert surveys.items[0] == ("419349", "Jak nam poszło? 1 (Helpdesk, zespół 1)")
    assert [call.query for call in acme.vendor.received] == [
        (("limit", "20"), ("offset", str(page))) for page in (1, 2, 3)
    ]


def test_one_list_can_be_asked_for_by_its_name(acme):
    assert [one.name for one in choices(acme, only="surveys")] == ["surveys"]
    with pytest.raises(NotFound, match="startquestion has no list named templates; there are: surveys"):
        choices(acme, only="templates")


def test_a_vendor_without_lists_is_not_called(acme):
    assert choices(acme, connection="lab") == []
    assert acme.vendor.received == []
    with pytest.raises(NotFound, match="surveylab has no list named surveys; it has none"):
        choices(acme, connection="lab", only="surveys")


def test_a_vendor_that_this_version_does_not_know_has_no_lists():
    assert lists_of("nobody") == {}


def test_an_empty_list_is_no_problem(acme):
    [surveys] = choices(acme, "none")

    assert (surveys.items, surveys.more, surveys.problem) == ((), False, "")


@pytest.mark.parametrize(
    ("key", "problem", "words"),
    [
        ("wrong", "The vendor refuses the credentials of this connection.", "Unauthorized"),
        ("busy", "The vendor asks to slow down; try again in a minute.", "Too many requests"),
        ("refused", "The vendor refused to list it.", "The survey is closed"),
        ("broken", "The vendor's answer is not one we know.", "<!doctype html>"),
        ("down", "The vendor is away for the moment; try again later.", "<!doctype html>"),
        ("gateway", "The vendor failed while it worked on the list; try again later.", "<!doctype html>"),
    ],
)
def test_why_there_is_no_list_is_told_in_our_words_and_the_vendor_s(acme, key, problem, words):
    [surveys] = choices(acme, key)

    assert (surveys.items, surveys.problem) == ((), problem)
    assert words in surveys.words


def test_a_vendor_that_is_not_there_is_told_without_its_url(acme):
    [surveys] = choices(acme, origin="http://127.0.0.1:9", chooser=chooser(acme, "http://127.0.0.1:9"))

    assert surveys.problem.startswith("127.0.0.1:9: ")
    assert "canary" not in surveys.problem


def test_an_address_that_is_not_allowed_is_not_called(acme):
    [surveys] = choices(acme, origin="http://127.0.0.1:9")

    assert "127.0.0.1:9" in surveys.problem
    assert surveys.items == ()


def test_a_vendor_that_repeats_a_secret_or_an_address_does_not_show_it(acme, monkeypatch):
    def quoting(response):
        return startquestion.answers.outcome_for_status(
            replace(response, status=400, body=b"no key-canary, auth-canary for jan@example.com")
        )

    monkeypatch.setattr(startquestion, "LISTS", {"surveys": replace(SURVEYS, read_choices=quoting)})
    [surveys] = choices(acme)

    assert surveys.words == "no •••, ••• for j•••@example.com"


def test_nobody_waits_longer_than_his_patience(acme):
    with Sandbox(slow_seconds=20) as slow:
        began = time.monotonic()
        [surveys] = choices(acme, "slow", slow.origin, chooser(acme, slow.origin), patience=0.5)

    assert time.monotonic() - began < 5
    assert surveys.problem.endswith(": no complete answer within 0.5 seconds.")


def test_a_patience_that_is_over_is_told(acme):
    [surveys] = choices(acme, patience=0.1)

    assert surveys.problem == "The vendor took too long; try again later."
    assert acme.vendor.received == []


def listing(pages: Mapping[int, Choices]):
    """A list whose pages hold what is said, whatever the vendor answers."""
    asked: list[int] = []

    def build(settings, page):
        asked.append(page)
        return SURVEYS.build_request(settings, page)

    def read(_response):
        return pages.get(asked[-1], Choices([(str(asked[-1]), f"page {asked[-1]}")], more=True))

    return {"surveys": replace(SURVEYS, build_request=build, read_choices=read)}, asked


def test_a_list_without_an_end_is_left_after_some_pages(acme, monkeypatch):
    lists, asked = listing({})
    monkeypatch.setattr(startquestion, "LISTS", lists)

    [surveys] = choices(acme)

    assert (len(asked), len(surveys.items), surveys.more) == (PAGES, PAGES, True)


def test_a_vendor_that_gives_the_same_page_again_is_asked_no_more(acme, monkeypatch):
    first = Choices([("1", "one"), ("2", "two")], more=True)
    lists, asked = listing({1: first, 2: Choices([("2", "two"), ("3", "three")], more=True), 3: first})
    monkeypatch.setattr(startquestion, "LISTS", lists)

    [surveys] = choices(acme)

    assert asked == [1, 2, 3]
    assert (surveys.items, surveys.more) == ((("1", "one"), ("2", "two"), ("3", "three")), True)


def test_what_came_before_a_failure_is_kept(acme, monkeypatch):
    unknown = startquestion.answers.Uncertain(startquestion.answers.Reason.UNRECOGNISED, "?")
    lists, _ = listing({2: unknown})
    monkeypatch.setattr(startquestion, "LISTS", lists)

    [surveys] = choices(acme)

    assert surveys.items == (("1", "page 1"),)
    assert (surveys.problem, surveys.words, surveys.more) == ("The vendor's answer is not one we know.", "?", True)


def test_a_choice_is_shown_on_one_line(acme, monkeypatch):
    lists, _ = listing({1: Choices([(" 7\n", "a\x1b[31m\u202eb" + "c" * 300)])})
    monkeypatch.setattr(startquestion, "LISTS", lists)

    [(value, label)] = choices(acme)[0].items

    assert value == "7"
    assert label.isprintable()
    assert len(label) == 200


def test_only_a_few_wait_at_a_time_and_the_others_are_told(acme):
    with Sandbox(slow_seconds=20) as slow:
        asking = chooser(acme, slow.origin)
        threads = [
            threading.Thread(target=choices, args=(acme, "slow", slow.origin, asking), kwargs={"patience": 2.0})
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
            while len(slow.received) <= threads.index(thread):
                time.sleep(0.01)
        with pytest.raises(NotAllowed, match="try again in a few seconds"):
            choices(acme, "slow", slow.origin, asking)
        for thread in threads:
            thread.join()
        [surveys] = choices(acme, "key", slow.origin, asking)

    assert len(surveys.items) == 45
