"""How a tenant writes down how messages are to be read, and what is said of a slip in it."""

from __future__ import annotations

import pytest
from marshmallow import ValidationError

from plugin.triggers import generic

PATH = "is not a path"


def problems(settings):
    with pytest.raises(ValidationError) as refusal:
        generic.SOURCE.settings().load(settings)
    return refusal.value.messages


@pytest.mark.parametrize(
    ("settings", "place", "told"),
    [
        ({"preset": "gorgia"}, ["preset"], "must be one of: gorgias, groove"),
        ({"field": {}}, ["field"], "is not known here."),
        ({"fields": ["a"]}, ["fields"], "must be an object of names and values."),
        ({"fields": {"ticket.id": "a..b"}}, ["fields", "ticket.id"], PATH),
        ({"fields": {"ticket.di": "a.b"}}, ["fields", "ticket.di"], "is no placeholder that a sender can fill in."),
        ({"fields": {"episode.id": "a.b"}}, ["fields", "episode.id"], "is no placeholder that a sender can fill in."),
        ({"fields": {"payload.a": "a.b"}}, ["fields", "payload.a"], "is no placeholder that a sender can fill in."),
        ({"fields": {"event.id": "a"}}, ["fields", "event.id"], "is said by id beside fields."),
        ({"fields": {"event.kind": "a"}}, ["fields", "event.kind"], "is said by kinds beside fields."),
        (
            {"fields": {"ticket.id": "header:X-Api-Key"}},
            ["fields", "ticket.id"],
            "names a header that may hold a secret",
        ),
        ({"kinds": {"path": "a"}}, ["kinds", "map"], "is required."),
        ({"kinds": {"path": "a[", "map": {}}}, ["kinds", "path"], PATH),
        (
            {"kinds": {"path": "a", "map": {"x": "ticket.close"}}},
            ["kinds", "map", "x"],
            "must be one of: ticket.closed",
        ),
        ({"kinds": {"path": "a", "map": {"x": "sms.lost"}}}, ["kinds", "map", "x"], "must be one of: ticket.closed"),
        ({"kinds": {"path": "a", "map": {}, "only": {"b[": "c"}}}, ["kinds", "only", "b["], PATH),
        ({"id": []}, ["id"], "must hold 1 to 5 paths."),
        ({"id": ["a"] * 6}, ["id"], "must hold 1 to 5 paths."),
        ({"id": {"a": "b"}}, ["id"], "must be a path or a list of paths."),
        ({"mark": "["}, ["mark"], PATH),
        ({"each": ""}, ["each"], PATH),
        ({"account": "1"}, ["account"], "is known to these presets only: pipedrive, salesforce_outbound."),
        ({"preset": "groove", "account": "1"}, ["account"], "is known to these presets only"),
    ],
)
def test_a_slip_is_told_where_it_stands(settings, place, told):
    found = problems(settings)
    for name in place:
        found = found[name]
    assert found[0].startswith(told)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"preset": "salesforce_outbound", "account": "00D000000000001AAA"},
        {"fields": {"ticket.custom.order": "a.b", "ticket.closed_at": "c", "person.email": "d[0]", "event.time": "e"}},
        {"id": "a.b", "mark": "c", "each": "d"},
        {"id": ["a", "header:Idempotency-Key"]},
    ],
)
def test_what_is_sound_is_taken(settings):
    generic.SOURCE.settings().load(settings)
