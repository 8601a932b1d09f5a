from __future__ import annotations

import secrets

import pytest
from itsdangerous import URLSafeSerializer, URLSafeTimedSerializer

from plugin.redaction import Secret
from plugin.signing import LinkSigner

OLD, NEW = Secret("o" * 40), Secret("n" * 40)
LINK = "01M6GMFMF8ZF8V1Z356RP5H432"


def token(*keys):
    return LinkSigner(keys).token(LINK).reveal()


def test_a_token_gives_back_the_link_it_was_made_for():
    assert LinkSigner([NEW]).link_id(token(NEW)) == LINK


def test_a_token_is_a_secret_that_fits_into_a_url():
    made = LinkSigner([NEW]).token(LINK)

    assert LINK not in repr(made)
    assert set(made.reveal()) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_the_newest_key_signs_and_an_older_one_still_opens():
    both = LinkSigner([NEW, OLD])

    assert both.link_id(token(OLD)) == LINK
    assert LinkSigner([NEW]).link_id(both.token(LINK).reveal()) == LINK


def test_a_key_that_was_taken_away_opens_nothing_any_more():
    assert LinkSigner([NEW]).link_id(token(OLD)) is None


GOOD = token(NEW)


@pytest.mark.parametrize(
    "forged",
    [
        "",
        ".",
        LINK,
        GOOD[:-1],
        GOOD[1:],
        GOOD + "A",
        GOOD.swapcase(),
        GOOD.split(".")[0],
        GOOD.replace(".", ""),
        GOOD + " ",
        "ł" + GOOD,
        "\ud800",
        "\x00",
        "x" * 10_000,
    ],
)
def test_what_was_not_signed_here_opens_nothing(forged):
    assert LinkSigner([NEW]).link_id(forged) is None


def test_a_payload_with_the_signature_of_another_one_opens_nothing():
    other = LinkSigner([NEW]).token("another").reveal()

    assert LinkSigner([NEW]).link_id(f"{GOOD.split('.')[0]}.{other.split('.')[1]}") is None


def test_what_the_same_key_signed_for_another_purpose_opens_nothing():
    for salt in ("itsdangerous", "cookie-session", "survey-plugin"):
        assert LinkSigner([NEW]).link_id(str(URLSafeSerializer(NEW.reveal(), salt=salt).dumps(LINK))) is None
    timed = URLSafeTimedSerializer(NEW.reveal(), salt="survey-plugin config link")
    assert LinkSigner([NEW]).link_id(str(timed.dumps(LINK))) is None


@pytest.mark.parametrize("payload", [7, None, [LINK], {"id": LINK}])
def test_what_is_no_text_opens_nothing_though_it_is_signed(payload):
    signed = str(URLSafeSerializer(NEW.reveal(), salt="survey-plugin config link").dumps(payload))

    assert LinkSigner([NEW]).link_id(signed) is None


def test_a_token_longer_than_any_of_ours_is_not_looked_at():
    # Random, since what repeats itself is compressed into a short token.
    signed = str(URLSafeSerializer(NEW.reveal(), salt="survey-plugin config link").dumps(secrets.token_hex(200)))

    assert len(signed) > 200
    assert LinkSigner([NEW]).link_id(signed) is None
