"""The page that Zendesk shows in a frame: who proves what, and what is to be seen."""

from __future__ import annotations

import json
import re

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.web.installation import Installation, words
from tests.web.zendesk_frames import AUDIENCE, FRAME, TENANT, part, tenant_file, token


@pytest.fixture
def framed(installation: Installation):
    installation.apply(tenant_file())
    return installation


def open_frame(installation, given, path=FRAME):
    return installation.app.test_client().post(path, data={"token": given})


def test_zendesk_shows_the_settings_to_look_at(framed):
    page = open_frame(framed, token(framed))

    assert page.status_code == 200
    assert "Survey invitations of Acme" in words(page)
    assert "lab (SurveyLab): active, 0 waiting" in words(page)
    assert "solved : nothing yet" in words(page)
    assert "/triggers/" not in page.text


def test_only_that_zendesk_may_frame_it_and_no_cookie_is_set(framed):
    page = open_frame(framed, token(framed, iss="https://acme.zendesk.com"))

    policy = page.headers["Content-Security-Policy"]
    assert policy.endswith("; frame-ancestors https://acme.zendesk.com")
    assert "script-src" not in policy
    assert "Set-Cookie" not in page.headers
    assert page.headers["Cache-Control"] == "no-store"


def test_its_button_leads_to_a_viewer_s_config_link(framed):
    page = open_frame(framed, token(framed))
    form = re.search(r'<form class="actions" method="post" action="([^"]+)" target="_blank"', page.text)[1]

    answer = open_frame(framed, re.search(r'name="token" value="([^"]+)"', page.text)[1], form)

    assert answer.status_code == 303
    assert "Set-Cookie" not in answer.headers
    visitor = framed.visitor(answer.headers["Location"])
    assert "You may look, not change" in words(visitor.get("/settings/"))
    framed.clock.advance(hours=1, seconds=1)
    assert visitor.get("/settings/").status_code == 403


REFUSED = {
    "another key": {"whose": "somebody"},
    "another kind of signature": {"algorithm": "none"},
    "a secret's signature": {"algorithm": "HS256"},
    "another Zendesk": {"iss": "blue.zendesk.com"},
    "no issuer": {"iss": None},
    "another audience": {"aud": AUDIENCE.replace("acme", "blue")},
    "an audience that goes on": {"aud": AUDIENCE + "/more"},
    "no audience": {"aud": None},
    "over": {"exp": 1_600_000_000},
    "not yet": {"iat": 4_000_000_000, "exp": 4_000_000_300},
    "without an end": {"exp": None},
    "without a beginning": {"iat": None},
    "times as text": {"iat": "0", "exp": "9999999999"},
}


@pytest.mark.parametrize("way", REFUSED)
def test_a_token_that_proves_something_else_is_refused(framed, way):
    given = token(framed, **REFUSED[way])
    for path in (FRAME, f"{FRAME}/settings"):
        answer = open_frame(framed, given, path)

        assert answer.status_code == 403
        assert "Acme" not in answer.text


@pytest.mark.parametrize(
    "given", ["", "a.b", "a.b.c", "....", "é.é.é", "W10.W10.W10", part({"alg": "RS256"}) + ".e30.", "x" * 9000]
)
def test_what_is_no_token_is_refused(framed, given):
    assert open_frame(framed, given).status_code == 403


@pytest.mark.parametrize(
    "path", ["/frames/acme/nosuch", "/frames/nobody/desk", "/frames/acme/other", "/frames/acme/bare", "/frames/a%00b/x"]
)
def test_what_has_no_page_is_refused_alike_so_that_nobody_learns_what_there_is(framed, path):
    refused = open_frame(framed, "a.b.c")
    answer = open_frame(framed, token(framed), path)

    assert (answer.status_code, answer.data) == (403, refused.data)
    assert "Nothing can be shown yet" in words(answer)


def test_a_changed_claim_is_refused(framed):
    head, claims, signature = token(framed).split(".")
    other = part({"iss": "acme.zendesk.com", "aud": AUDIENCE, "iat": 0, "exp": 9999999999})

    assert claims != other
    assert open_frame(framed, f"{head}.{other}.{signature}").status_code == 403


def test_it_is_not_opened_by_looking(framed):
    assert framed.app.test_client().get(FRAME).status_code == 405


@pytest.mark.parametrize("key", ["none", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
def test_a_key_that_is_none_is_told_when_it_is_saved(installation, key):
    with pytest.raises(Exception, match="is no public key"):
        installation.apply(TENANT.replace("KEY", json.dumps(key)))


def test_a_key_that_can_be_broken_is_told_when_it_is_saved(installation):
    short = rsa.generate_private_key(65537, 1024).public_key()
    pem = short.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(Exception, match="2048 bits or more"):
        installation.apply(TENANT.replace("KEY", json.dumps(pem)))
