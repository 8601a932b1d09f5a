"""How far a call got, as a table."""

from __future__ import annotations

import pytest

from plugin.domain.evidence import evidence


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        ({"outcome": None}, ""),
        ({"outcome": "given back", "duration": None}, ""),
        (
            {"outcome": "uncertain", "status": 502, "bytes_sent": 412},
            "The whole request was sent (412 bytes), and HTTP 502 came back after 1.50 s.",
        ),
        (
            {"outcome": "uncertain", "status": 200},
            "The whole request was sent, and HTTP 200 came back after 1.50 s.",
        ),
        ({"outcome": "accepted", "status": 200, "bytes_sent": 412}, ""),
        ({"outcome": "retry later", "bytes_sent": 0}, ""),
        ({"outcome": "uncertain", "duration": None}, ""),
        (
            {"outcome": "uncertain", "bytes_sent": 300},
            "Up to 300 bytes of the request were sent; the call ended after 1.50 s without a complete answer.",
        ),
        (
            {"outcome": "uncertain", "bytes_sent": None},
            "The request was made; the call ended after 1.50 s without a complete answer.",
        ),
        (
            {"outcome": "lost", "duration": None},
            "Its worker fell silent during the call: the request may have been sent in whole, in part or not at all.",
        ),
    ],
)
def test_what_is_known_of_a_call_is_a_sentence(known, sentence):
    assert evidence(**{"status": None, "bytes_sent": None, "duration": 1.5, **known}) == sentence
