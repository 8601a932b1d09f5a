"""Names and values of a pasted URL, taken for what they mean."""

from __future__ import annotations

from plugin.surveys.base.pasted import take_known


def test_known_names_are_taken_in_any_case_and_spelling() -> None:
    values, warnings = take_known([("CID", "1"), ("cld", "2"), ("email", "a@b")], ["cId", "email"], {"cld": "cId"})
    assert values == {"cId": "1", "email": "a@b"}
    assert warnings == ["`CID` was read as `cId`.", "`cId` stands there twice; the first value was taken."]


def test_a_name_without_a_value_is_passed_over() -> None:
    assert take_known([("email", ""), ("email", "a@b")], ["email"]) == ({"email": "a@b"}, [])


def test_no_warning_repeats_a_value_or_what_may_be_one() -> None:
    _, warnings = take_known([("other", "secret-1"), ("secret-2", "")], ["email"])
    assert warnings == [
        "`other` is not known here and was left out.",
        "Something that is no pair of name and value is not known here and was left out.",
    ]
