"""The signatures below were computed by hand from each vendor's description, over the same body and time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin.errors import SignatureInvalid
from plugin.redaction import Secret
from plugin.triggers.base import InboundRequest
from plugin.triggers.base.proof import (
    HmacRecipe,
    base64_key,
    hmac_replay_mark,
    require_basic,
    require_bearer,
    require_header,
    require_hmac,
    require_standard_webhook,
    standard_replay_mark,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BODY = '{"ticket":{"id":"4711","note":"Żółć \\"ok\\""},"n":1}'.encode()
KEY = b"client-secret-1"

RECIPES = {
    "Chatwoot": (
        HmacRecipe("X-Chatwoot-Signature", prefix="sha256=", message="{timestamp}.{body}", timestamp_header="X-Time"),
        "1767323045",
        "sha256=6daaaf185041e985009cd95bc6efa35f2bc25ab2a0c3655c13b5aede8dcc371b",
    ),
    "Zammad": (
        HmacRecipe("X-Hub-Signature", algorithm="sha1", prefix="sha1="),
        None,
        "sha1=7fab0504cdc4e919c20a9ccc18cc426480a969e7",
    ),
    "tawk.to": (
        HmacRecipe("X-Tawk-Signature", algorithm="sha1"),
        None,
        "7fab0504cdc4e919c20a9ccc18cc426480a969e7",
    ),
    "Help Scout": (
        HmacRecipe("X-HelpScout-Signature", algorithm="sha1", encoding="base64"),
        None,
        "f6sFBM3E6RnCCpzMGMxCZICpaec=",
    ),
    "Smartsupp": (
        HmacRecipe("X-Smartsupp-Hmac"),
        None,
        "1575e1806abd60d0cb960520998d1aae37441ee2f79de7ff6d623683530fa514",
    ),
    "Jira": (
        HmacRecipe("X-Hub-Signature", prefix="sha256="),
        None,
        "sha256=1575e1806abd60d0cb960520998d1aae37441ee2f79de7ff6d623683530fa514",
    ),
    "Front": (
        HmacRecipe(
            "X-Front-Signature",
            encoding="base64",
            message="{timestamp}:{body}",
            timestamp_header="X-Time",
            timestamp_unit="ms",
        ),
        "1767323045000",
        "d18ptY3x8yLNcsnx2L0cQsXPaQF7pS7do0g6ztfv7gU=",
    ),
    "Crisp": (
        HmacRecipe("X-Crisp-Signature", message="[{timestamp};{body}]", timestamp_header="X-Time", timestamp_unit="ms"),
        "1767323045000",
        "eb75c4b71835458275bd80180fb63b63d76b5c648d64f80e898d7b8ac71a7fda",
    ),
}


def signed(name, *, body=BODY, query="", **changed):
    recipe, timestamp, signature = RECIPES[name]
    headers = {recipe.header.lower(): signature, **({"x-time": timestamp} if timestamp else {}), **changed}
    return InboundRequest("POST", query, headers, body), recipe


@pytest.mark.parametrize("name", RECIPES)
def test_a_request_signed_as_the_vendor_does_is_let_through(name):
    request, recipe = signed(name)
    require_hmac(request, KEY, recipe, NOW)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("fault", ["another body", "another key", "another signature", "no signature"])
def test_any_other_request_is_refused(name, fault):
    request, recipe = signed(name, body=BODY + b" " if fault == "another body" else BODY)
    headers = dict(request.headers)
    if fault == "another signature":
        headers[recipe.header.lower()] = headers[recipe.header.lower()].translate(str.maketrans("7dfe", "0000"))
    if fault == "no signature":
        del headers[recipe.header.lower()]
    with pytest.raises(SignatureInvalid):
        require_hmac(
            InboundRequest("POST", "", headers, request.body),
            b"another" if fault == "another key" else KEY,
            recipe,
            NOW,
        )


@pytest.mark.parametrize("name", [name for name, (recipe, _, _) in RECIPES.items() if recipe.timestamp_header])
@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_time_further_away_than_the_tolerance_is_refused_both_ways(name, seconds):
    request, recipe = signed(name)
    require_hmac(request, KEY, recipe, NOW + timedelta(seconds=seconds - seconds // abs(seconds)))
    with pytest.raises(SignatureInvalid, match="300 seconds"):
        require_hmac(request, KEY, recipe, NOW + timedelta(seconds=seconds))


def test_hexadecimal_digits_may_be_large():
    request, recipe = signed("Smartsupp")
    shouted = {name: value.upper() for name, value in request.headers.items()}
    require_hmac(InboundRequest("POST", "", shouted, BODY), KEY, recipe, NOW)


def test_a_signature_without_its_prefix_is_refused():
    request, recipe = signed("Jira", **{"x-hub-signature": RECIPES["Smartsupp"][2]})
    with pytest.raises(SignatureInvalid):
        require_hmac(request, KEY, recipe, NOW)


HOSTILE = [
    "ż",
    "\udcff",
    "é" * 10,
    "=",
    "====",
    "A" * 100_000,
    "nan",
    "inf",
    "-1",
    "1e10",
    "1" * 5000,
    "\x00",
    "v1,",
    ",",
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("header", ["x-crisp-signature", "x-time"])
def test_whatever_a_header_holds_the_refusal_is_the_same_exception(header, value):
    request, recipe = signed("Crisp", **{header: value})
    with pytest.raises(SignatureInvalid):
        require_hmac(request, KEY, recipe, NOW)


def test_the_replay_mark_is_that_of_what_was_signed_and_not_of_how_it_was_written():
    request, recipe = signed("Crisp")
    shouted, _ = signed("Crisp", **{"x-crisp-signature": RECIPES["Crisp"][2].upper()}, query="other=1")
    assert hmac_replay_mark(request, recipe) == hmac_replay_mark(shouted, recipe)


def test_the_replay_mark_differs_with_time_and_body():
    request, recipe = signed("Crisp")
    later, _ = signed("Crisp", **{"x-time": "1767323045001"})
    other, _ = signed("Crisp", body=BODY + b" ")
    assert len({hmac_replay_mark(each, recipe) for each in (request, later, other)}) == 3


def test_without_a_body_the_replay_mark_tells_queries_apart():
    one, recipe = signed("Crisp", body=b"", query="ticket.id=1")
    two, _ = signed("Crisp", body=b"", query="ticket.id=2")
    assert hmac_replay_mark(one, recipe) != hmac_replay_mark(two, recipe)


def test_where_no_time_is_signed_or_sent_there_is_no_replay_mark():
    untimed, recipe = signed("Zammad")
    assert hmac_replay_mark(untimed, recipe) is None
    assert hmac_replay_mark(InboundRequest("POST", "", {}, BODY), RECIPES["Crisp"][0]) is None


# --- Standard Webhooks

STANDARD_KEY = base64_key(Secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="))
STANDARD_SIGNATURE = "v1,S00awNP2jtsSKK588Xm34evoe2J/PtvS5KC1+zrLKyc="


def standard(signature=STANDARD_SIGNATURE, **changed):
    headers = {"webhook-id": "msg_01", "webhook-timestamp": "1767323045", "webhook-signature": signature, **changed}
    return InboundRequest("POST", "", headers, BODY)


@pytest.mark.parametrize(
    "signature",
    [
        STANDARD_SIGNATURE,
        f"v1,AAAA {STANDARD_SIGNATURE}",
        f"v1a,AAAA  {STANDARD_SIGNATURE} v2,x",
        f"nothing , v1 v1,, {STANDARD_SIGNATURE}",
    ],
)
def test_one_matching_signature_among_several_is_enough(signature):
    require_standard_webhook(standard(signature), STANDARD_KEY, NOW)


@pytest.mark.parametrize(
    "request_",
    [
        standard(STANDARD_SIGNATURE.replace("v1,", "v1a,")),
        standard(STANDARD_SIGNATURE.replace("v1,", "")),
        standard(""),
        standard(**{"webhook-id": "msg_02"}),
        standard(**{"webhook-id": ""}),
        standard(**{"webhook-timestamp": "1767323046"}),
        standard(**{"webhook-timestamp": ""}),
        *[standard(value) for value in HOSTILE],
        *[standard(**{"webhook-timestamp": value}) for value in HOSTILE],
    ],
)
def test_other_standard_webhooks_are_refused(request_):
    with pytest.raises(SignatureInvalid):
        require_standard_webhook(request_, STANDARD_KEY, NOW)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_stale_or_future_standard_webhook_is_refused(seconds):
    with pytest.raises(SignatureInvalid, match="300 seconds"):
        require_standard_webhook(standard(), STANDARD_KEY, NOW + timedelta(seconds=seconds))


def test_more_signatures_do_not_change_the_replay_mark():
    assert standard_replay_mark(standard()) == standard_replay_mark(standard(f"v1,AAAA {STANDARD_SIGNATURE}"))
    assert standard_replay_mark(standard()) != standard_replay_mark(standard(**{"webhook-id": "msg_02"}))
    assert standard_replay_mark(InboundRequest("POST", "", {}, BODY)) is None


@pytest.mark.parametrize("secret", ["", "whsec_", "not base64!", "whsec_AAA", "ż"])
def test_a_secret_that_is_no_base64_gives_no_key(secret):
    with pytest.raises(ValueError, match="not base64"):
        base64_key(Secret(secret))


# --- credentials that travel as they are


def carrying(**headers):
    return InboundRequest("POST", "", headers, b"")


@pytest.mark.parametrize("value", ["Bearer t0ken", "bearer  t0ken", "BEARER t0ken "])
def test_the_right_bearer_token_is_let_through(value):
    require_bearer(carrying(authorization=value), Secret("t0ken"))


@pytest.mark.parametrize("value", ["Bearer t0keN", "t0ken", "Basic t0ken", "Bearer", "", *HOSTILE])
def test_any_other_authorization_is_refused_as_bearer(value):
    with pytest.raises(SignatureInvalid):
        require_bearer(carrying(authorization=value), Secret("t0ken"))


def test_the_right_user_and_password_are_let_through():
    # The two, joined by a colon, in UTF-8.
    require_basic(carrying(authorization="Basic YWRhOsW8w7PFgnc="), "ada", Secret("żółw"))


@pytest.mark.parametrize(
    "value", ["Basic YWRhOsW8w7PFgnc", "Basic YWRhOg==", "Basic ada:żółw", "Bearer YWRhOsW8w7PFgnc="]
)
def test_any_other_authorization_is_refused_as_basic(value):
    with pytest.raises(SignatureInvalid):
        require_basic(carrying(authorization=value), "ada", Secret("żółw"))


def test_a_header_is_compared_in_the_bytes_that_were_sent():
    as_servers_show_it = "żółw".encode().decode("latin-1")
    require_header(carrying(**{"x-key": as_servers_show_it}), "X-Key", Secret("żółw"))
    with pytest.raises(SignatureInvalid):
        require_header(carrying(**{"x-key": "zolw"}), "X-Key", Secret("żółw"))


def test_a_missing_header_is_refused_by_name():
    with pytest.raises(SignatureInvalid, match="X-Key"):
        require_header(carrying(), "X-Key", Secret("a"))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["x-time", "x-crisp-signature", "webhook-id", "authorization"]), st.text()))
def test_no_header_brings_another_exception(headers):
    request = InboundRequest("POST", "", headers, BODY)
    for check in (
        lambda: require_hmac(request, KEY, RECIPES["Crisp"][0], NOW),
        lambda: require_standard_webhook(request, STANDARD_KEY, NOW),
        lambda: require_basic(request, "ada", Secret("s3cret")),
    ):
        with pytest.raises(SignatureInvalid):
            check()
