"""Standard Webhooks as its own library signs and checks them."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from plugin.errors import SignatureInvalid
from plugin.triggers import generic
from plugin.triggers.base import InboundRequest

SECRETS = st.binary(min_size=24, max_size=64).map(lambda key: f"whsec_{b64encode(key).decode()}")
IDS = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=30)
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2037, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))  # noqa: DTZ001  # its zone is given at once


def signed(secret, message_id, time, body):
    signature = standardwebhooks.Webhook(secret).sign(message_id, time, body)
    proof = {"webhook-id": message_id, "webhook-timestamp": str(int(time.timestamp())), "webhook-signature": signature}
    return InboundRequest("POST", "", proof, body.encode())


def verify(request, secret, now):
    generic.verify(request, generic.SOURCE.credentials().load({"standard_webhooks": secret}), now)


@given(secret=SECRETS, message_id=IDS, time=TIMES, body=st.text(), seconds=st.integers(-298, 298))
def test_what_the_library_signs_is_let_in(secret, message_id, time, body, seconds):
    verify(signed(secret, message_id, time, body), secret, time + timedelta(seconds=seconds))


@given(secret=SECRETS, other=SECRETS, message_id=IDS, time=TIMES, body=st.text())
def test_what_the_library_signs_with_another_secret_is_refused(secret, other, message_id, time, body):
    if secret == other:
        return
    with pytest.raises(SignatureInvalid):
        verify(signed(other, message_id, time, body), secret, time)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"webhook-id": "msg_02"},
        {"webhook-timestamp": "1"},
        {"webhook-timestamp": "nan"},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": ""},
    ],
    ids=str,
)
def test_the_library_and_we_agree_at_this_moment(changed):
    now, secret, body = datetime.now(UTC), f"whsec_{b64encode(bytes(range(32))).decode()}", '{"n": "Żółć"}'
    request = signed(secret, "msg_01", now, body)
    headers = {**request.headers, **changed}
    opinions = []
    for check, refusal in (
        (lambda: standardwebhooks.Webhook(secret).verify(body, headers), standardwebhooks.WebhookVerificationError),
        (lambda: verify(InboundRequest("POST", "", headers, request.body), secret, now), SignatureInvalid),
    ):
        try:
            check()
        except refusal:
            opinions.append(False)
        else:
            opinions.append(True)
    assert opinions == [not changed] * 2
