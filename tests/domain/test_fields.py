from __future__ import annotations

import pytest
from marshmallow import ValidationError

from plugin.domain.fields import Choice, Flag, Group, Number, SecretText, StrictSchema, Text
from plugin.redaction import Secret


class Inner(StrictSchema):
    user = Text(label="User", required=True)
    password = SecretText(label="Password", required=True)


class Form(StrictSchema):
    name = Text(label="Name", max_length=5, pattern=r"[a-z]*\Z", pattern_message="must be small letters.")
    note = Text(label="Note", multiline=True)
    token = SecretText(label="Token", max_length=12)
    brand = Choice({"a": "Brand A", "b": "Brand B"}, label="Brand")
    wait = Number(label="Wait", minimum=1, maximum=10)
    live = Flag(label="Live")
    basic = Group(Inner, label="Basic")


class Required(StrictSchema):
    text = Text(label="Text", required=True)
    secret = SecretText(label="Secret", required=True)
    choice = Choice({"a": "A"}, label="Choice", required=True)
    number = Number(label="Number", minimum=1, maximum=2, required=True)
    flag = Flag(label="Flag", required=True)
    group = Group(Inner, label="Group", required=True)


@pytest.mark.parametrize(
    ("given", "loaded"),
    [
        ({"name": " ada "}, {"name": "ada"}),
        ({"note": " a\nb "}, {"note": " a\nb "}),
        ({"token": "s3cret"}, {"token": Secret("s3cret")}),
        ({"token": Secret("s3cret")}, {"token": Secret("s3cret")}),
        ({"token": 123}, {"token": Secret("123")}),
        ({"brand": "b"}, {"brand": "b"}),
        ({"wait": "10"}, {"wait": 10}),
        ({"live": True}, {"live": True}),
        ({"basic": {"user": 5, "password": "p"}}, {"basic": {"user": "5", "password": Secret("p")}}),
        ({}, {}),
    ],
)
def test_what_fits_is_loaded(given, loaded):
    assert Form().load(given) == loaded


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "adaada"}, {"name": ["is longer than 5 characters."]}),
        ({"name": "ADA"}, {"name": ["must be small letters."]}),
        ({"name": "a\nb"}, {"name": ["must be a single line."]}),
        ({"name": None}, {"name": ["must not be empty."]}),
        ({"name": ["a"]}, {"name": ["must be text."]}),
        ({"name": True}, {"name": ["must be text."]}),
        ({"note": "a\x00"}, {"note": ["must not hold a null character."]}),
        ({"brand": "c"}, {"brand": ["must be one of: a, b."]}),
        ({"wait": 11}, {"wait": ["must be between 1 and 10."]}),
        ({"wait": "soon"}, {"wait": ["must be a whole number."]}),
        ({"wait": 1.5}, {"wait": ["must be a whole number."]}),
        ({"wait": True}, {"wait": ["must be a whole number."]}),
        ({"live": "perhaps"}, {"live": ["must be true or false."]}),
        ({"basic": {"user": "a"}}, {"basic": {"password": ["is required."]}}),
        ({"basic": "a:b"}, {"basic": {"_schema": ["must be an object of names and values."]}}),
        ({"basic": None}, {"basic": ["must not be empty."]}),
        ({"nmae": "ada"}, {"nmae": ["is not known here."]}),
        ("ada", {"_schema": ["must be an object of names and values."]}),
    ],
)
def test_what_does_not_fit_is_told_in_a_sentence(given, told):
    with pytest.raises(ValidationError) as refusal:
        Form().load(given)
    assert refusal.value.messages == told


def test_every_kind_of_field_can_be_required():
    with pytest.raises(ValidationError) as refusal:
        Required().load({})
    assert refusal.value.messages == {name: ["is required."] for name in Required().fields}


@pytest.mark.parametrize("blank", ["", "  "])
def test_what_is_required_must_not_be_blank(blank):
    with pytest.raises(ValidationError) as refusal:
        Required(only=["text", "secret"]).load({"text": blank, "secret": blank})
    assert refusal.value.messages == {"text": ["must not be empty."], "secret": ["must not be empty."]}


def test_no_message_holds_the_secret():
    with pytest.raises(ValidationError) as refusal:
        Form().load({"token": "s3cret-s3cret"})
    assert "s3cret" not in str(refusal.value)


def test_secrets_are_not_written_out():
    assert "s3cret" not in str(Form().dump({"token": Secret("s3cret")}))


@pytest.mark.parametrize("name", Form().fields)
def test_every_field_carries_what_a_form_needs(name):
    field = Form().fields[name]
    assert field.metadata.keys() >= {"label", "help", "example", "secret"}
    assert field.metadata["label"] == name.capitalize()


def test_a_choice_names_its_choices_for_people():
    assert Form().fields["brand"].metadata["choices"] == {"a": "Brand A", "b": "Brand B"}
