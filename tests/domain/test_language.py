from __future__ import annotations

import pytest

from plugin.domain.language import choose_language, language_tag, translate_language


@pytest.mark.parametrize(
    ("told", "tag"),
    [
        ("en", "en"), ("EN", "en"), (" en ", "en"), ("en-US", "en-US"), ("en_US", "en-US"), ("en-us", "en-US"),
        ("pl_PL.UTF-8", "pl-PL"), ("English", "en"), ("ENGLISH", "en"), ("English (United States)", "en"),
        ("polski", "pl"), ("Polski", "pl"), ("Čeština", "cs"), ("Українська", "uk"), ("Português (Brasil)", "pt-BR"),
        ("zh-hant-tw", "zh-Hant-TW"), ("es-419", "es-419"), ("cz", "cs"), ("ua", "uk"), ("de-DE-1996x", "de-DE"),
        ("Français / France", "fr"),
    ],
)  # fmt: skip
def test_a_language_is_understood_however_a_helpdesk_writes_it(told: str, tag: str) -> None:
    assert language_tag(told) == tag


@pytest.mark.parametrize(
    "told", ["", " ", "x", "unknown", "{{ticket.requester.language}}", "12", "und", "en US x", "null-value"]
)
def test_what_is_no_language_is_not_taken_for_one(told: str) -> None:
    assert language_tag(told) is None


def test_a_tag_is_understood_as_itself() -> None:
    for tag in ("en", "en-GB", "pt-BR", "zh-Hans", "sr-Latn-RS"):
        assert language_tag(tag) == tag


@pytest.mark.parametrize(
    ("told", "unrendered", "source", "tag", "sentence"),
    [
        ("pl", False, "de", "pl", "Language pl, from the message."),
        ("polski", False, None, "pl", "Language pl, from the message “polski”."),
        (None, False, "de", "de", "Language de, the source's default, since the message names none."),
        (None, False, None, "en", "Language en, the tenant's default, since the message names none."),
        (None, True, None, "en", "Language en, the tenant's default, since its placeholder was not filled in."),
        (
            "Klingon", False, None, "en",
            "Language en, the tenant's default, since the message's “Klingon” is no language that we know.",
        ),
    ],
)  # fmt: skip
def test_the_choice_of_a_language_says_where_it_comes_from(told, unrendered, source, tag, sentence) -> None:
    chosen = choose_language(told, unrendered=unrendered, source=source, tenant="en")
    assert (chosen.tag, chosen.sentence) == (tag, sentence)


@pytest.mark.parametrize(
    ("tag", "word"),
    [("pl", "Polish"), ("pl-PL", "Polish"), ("en-GB", "British"), ("EN-gb", "British"), ("en", "Any"), ("uk", "Any")],
)
def test_a_vendor_s_own_word_is_found_by_the_tag_then_by_its_first_part(tag: str, word: str) -> None:
    assert translate_language(tag, {"PL": "Polish", "en-GB": "British", "*": "Any"}) == word


def test_a_language_that_a_vendor_has_no_word_for_is_sent_as_its_tag() -> None:
    assert translate_language("uk", {"pl": "Polish"}) == "uk"
