from __future__ import annotations

import json

import pytest

from plugin.errors import Unreadable
from plugin.triggers.base import InboundRequest
from plugin.triggers.base.recording import read_recording


def recording(**fields):
    return json.dumps({"provenance": "constructed", **fields}).encode()


def test_a_recording_becomes_the_request_it_was():
    request = read_recording(recording(method="PUT", query="a=1", headers={"X-One": "1"}, body="Łódź"))
    assert request == InboundRequest("PUT", "a=1", {"x-one": "1"}, "Łódź".encode())


def test_a_body_that_is_no_text_is_kept_in_base64():
    assert read_recording(recording(body_base64="/wA=")).body == b"\xff\x00"


@pytest.mark.parametrize("data", [b'{"ticket": {"id": "1"}}', b"ticket.id=1", b"", b"\xff", b"[]"])
def test_anything_else_is_the_body_of_a_post(data):
    assert read_recording(data) == InboundRequest("POST", "", {}, data)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"method": 1}, "method"),
        ({"query": {"a": "1"}}, "query"),
        ({"headers": ["a"]}, "headers"),
        ({"headers": {"X-One": 1}}, "X-One"),
        ({"body": {"ticket": {}}}, "body"),
        ({"body_base64": "?"}, "body_base64"),
    ],
)
def test_a_recording_of_another_form_is_refused_by_name(fields, name):
    with pytest.raises(Unreadable, match=name):
        read_recording(recording(**fields))
