from __future__ import annotations

import pytest

from plugin.triggers.base.custom_fields import custom_values


@pytest.mark.parametrize(
    ("label", "name"),
    [("Root cause", "root_cause"), ("  Číslo objednávky (SAP)! ", "číslo_objednávky_sap"), ("VIP", "vip")],
)
def test_a_label_is_made_a_name(label, name):
    assert custom_values([(label, "x")]) == {f"ticket.custom.{name}": "x"}


@pytest.mark.parametrize("label", ["", "  ", "!?", None, 7, ["a"], {}])
def test_what_is_no_label_names_nothing(label):
    assert custom_values([(label, "x")]) == {}


@pytest.mark.parametrize(("value", "kept"), [("a", "a"), (7, 7), (True, True), (["a", "", None, {}, 1], ["a", 1])])
def test_texts_numbers_and_lists_of_them_are_values(value, kept):
    assert custom_values([("n", value)]) == {"ticket.custom.n": kept}


@pytest.mark.parametrize("value", [None, "", "  ", {}, {"a": 1}])
def test_nothing_and_objects_are_no_values(value):
    assert custom_values([("n", value)]) == {}


def test_a_label_may_be_of_any_length():
    [name] = custom_values([("x" * 5000, "1")])
    assert len(name) < 200
