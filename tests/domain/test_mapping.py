"""Templates over an event: what they give, what is refused, and that none of them can do harm."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugin.domain import template
from plugin.domain.event import CATALOGUE, Event, EventKind, tidy_values
from plugin.domain.mapping import Values, check_mapping, compile_template, fill, placeholders_of
from plugin.domain.template_values import TEXT_LIMIT, RenderFailed
from plugin.domain.verdict import Cause
from plugin.errors import TemplateInvalid

SUBJECT = ' "50 % & more" + #1/2?\r\n\tПривіт, žluťoučký kůň, łódź 😀 '
PAYLOAD = {
    "first": "Ada",
    "size": "XL",
    "id": 900719925474099312,
    "big_id": 9007199254740993,
    "price": Decimal("1.10"),
    "tiny": Decimal("0.00000010"),
    "float": 0.5,
    "yes": True,
    "no": False,
    "null": None,
    "blank": "  ",
    "left": "{{ ticket.custom }}",
    "quote": "please use {{ ticket.id }} in the reply",
    "empty_list": [],
    "mixed": ["a", None, "", "{{x}}", 2],
    "items": [{"id": 1, "name": "bolt"}, {"id": "2", "name": None}],
    "order": {"total": "5.00", "first": "F"},
    "form.field": "flat",
}


def event_of(raw=None, payload=PAYLOAD, **rest):
    tidied = tidy_values({"ticket.id": "35436", **(raw or {})})
    return Event(EventKind.TICKET_CLOSED, values=tidied.values, unrendered=tidied.unrendered, payload=payload, **rest)


def values_of(raw=None, payload=PAYLOAD, extra=None):
    return Values(event_of(raw, payload), extra)


def text_of(source, values=None):
    """What one required parameter is filled with; fails when it is not."""
    filled = fill({"p": source}, values or values_of(), required=["p"])
    assert filled.problems == ()
    return filled.values["p"]


def problem_of(source, values=None):
    filled = fill({"p": source}, values or values_of(), required=["p"])
    assert "p" not in filled.values
    [problem] = filled.problems
    return problem


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain text", "plain text"),
        ("{{ ticket.id }}", "35436"),
        ("{{ticket.id}}-{{ticket.id}}", "35436-35436"),
        ("{{ ticket['id'] }}", "35436"),
        ("{{ ticket.title }}", SUBJECT),
        ("{% capture subject %}{{ ticket.title }}{% endcapture %}{{ subject }}", SUBJECT),
        ("{{ ticket.tags }}", "vip printer"),
        ("{{ ticket.tags | join: ',' }}", "vip,printer"),
        (
            "{{ ticket.tags.first }}/{{ ticket.tags.last }}/{{ ticket.tags.size }}/{{ ticket.tags[1] }}",
            "vip/printer/2/printer",
        ),
        ("{% if ticket.tags contains 'vip' %}gold{% else %}plain{% endif %}", "gold"),
        ("{% if ticket.tags contains 'vi' %}gold{% else %}plain{% endif %}", "plain"),
        ("{{ person.email }}", "ada@example.com"),
        ("{{ ticket.custom.region }}", "North"),
        ("{{ ticket.custom.size }}{{ ticket.custom.first }}", "XLF"),
        ("{{ ticket.custom.a.b }}{{ ticket.custom['a.b'] }}", "dotteddotted"),
        ("{{ event.kind }}", "ticket.closed"),
        ("{{ delivery.reference }}", "k3v9"),
        ("{{ ticket.title.size }}", str(len(SUBJECT))),
    ],
)
def test_placeholders_are_filled_exactly_as_the_ticket_held_them(source, expected):
    values = values_of(
        {
            "ticket.title": SUBJECT,
            "ticket.tags": "vip printer",
            "ticket.requester.email": "Ada Nowak <ada@example.com>",
            "ticket.custom.region": "North",
            "ticket.custom.size": "XL",
            "ticket.custom.first": "F",
            "ticket.custom.a.b": "dotted",
        },
        extra={"delivery.reference": "k3v9"},
    )
    assert text_of(source, values) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ payload.id }}", "900719925474099312"),
        ("{{ payload.big_id }}", "9007199254740993"),
        ("{{ payload.price }}", "1.10"),
        ("{{ payload.tiny }}", "0.00000010"),
        ("{{ payload.float }}", "0.5"),
        ("{{ payload.yes }}/{{ payload.no }}", "true/false"),
        ("{{ payload.first }}", "Ada"),
        ("{{ payload.size }}", "XL"),
        ("{{ payload.order.first }}", "F"),
        ("{{ payload.quote }}", "please use {{ ticket.id }} in the reply"),
        ("{{ payload.mixed }}", "a 2"),
        ("{{ payload.items[0].id }}{{ payload.items[1].id }}", "12"),
        ("{{ payload.items.0.name }}{{ payload.items.first.name }}", "boltbolt"),
        ("{{ payload['order']['total'] }}", "5.00"),
        ("{{ payload.form.field }}{{ payload['form.field'] }}", "flatflat"),
        ("{% for item in payload.items %}{{ forloop.index }}={{ item.id }};{% endfor %}", "1=1;2=2;"),
        ("{% if payload.yes %}y{% endif %}{% if payload.no %}n{% endif %}", "y"),
        ("{% if payload.price > 1 %}dear{% endif %}", "dear"),
        ("{{ payload.items | where: 'id', 2 | map: 'id' | first }}", "2"),
    ],
)
def test_the_raw_message_is_reached_by_path(source, expected):
    assert text_of(source) == expected


@pytest.mark.parametrize(
    ("payload", "source", "expected"),
    [
        ([{"id": 1}], "{{ payload[0].id }}", "1"),
        ({"list": {"first": "x"}}, "{{ payload.list.first }}", "x"),
        ({"n": Decimal("1E+3")}, "{{ payload.n }}", "1000"),
    ],
)
def test_the_raw_message_may_have_any_shape(payload, source, expected):
    assert text_of(source, values_of(payload=payload)) == expected


def test_the_event_gives_its_own_id_kind_and_time():
    event = event_of(id="01HF", time=datetime(2026, 11, 3, 16, 5, 12, tzinfo=UTC))
    source = "{{ event.id }} {{ event.kind }} {{ event.time }}"
    assert text_of(source, Values(event)) == "01HF ticket.closed 2026-11-03T16:05:12Z"


def test_extra_placeholders_win_over_those_of_the_event():
    values = values_of({"person.language": "{{lang}}"}, extra={"person.language": "pl"})
    assert text_of("{{ person.language }}", values) == "pl"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ticket.id", "35436"),
        ("ticket.tags", ("vip", "printer")),
        ("ticket.custom.a.b", "dotted"),
        ("event.kind", "ticket.closed"),
        ("payload.items[0].id", "1"),
        ("payload.items.0.id", "1"),
        ("payload.items[-1].id", "2"),
        ("payload.items.size", "2"),
        ("payload.mixed", ("a", "2")),
        ("payload.price", "1.10"),
        ("payload.yes", "true"),
        ("payload.form.field", "flat"),
        ("payload.first", "Ada"),
        ("ticket.title", "Printer"),
        # nothing there
        ("ticket.type", None),
        ("ticket.requester.phone", None),
        ("payload.null", None),
        ("payload.blank", None),
        ("payload.left", None),
        ("payload.empty_list", None),
        ("payload.items", None),
        ("payload.order", None),
        ("payload.last", None),
        ("payload.items[7].id", None),
        ("payload.id.more", None),
        ("payload", None),
        ("ticket", None),
        ("nobody.knows", None),
        ("payload..", None),
        ("[", None),
        ("", None),
    ],
)
def test_conditions_look_up_the_same_values(name, expected):
    values = values_of(
        {
            "ticket.title": "  Printer ",
            "ticket.tags": ["vip", "printer"],
            "ticket.custom.a.b": "dotted",
            "ticket.requester.phone": "{{phone}}",
        }
    )
    assert values.lookup(name) == expected
    assert values.lookup(name) == expected  # the second time from memory


def test_a_condition_sees_every_entry_of_a_long_list():
    values = values_of(payload={"tags": [f"t{number}" for number in range(5000)]})
    assert values.lookup("payload.tags")[-1] == "t4999"


# --- what is missing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "cause", "named"),
    [
        ("{{ ticket.type }}", Cause.MISSING, "ticket.type"),
        ("id {{ ticket.id }} of {{ ticket.type }}", Cause.MISSING, "ticket.type"),
        ("{{ ticket.type | upcase }}", Cause.MISSING, "ticket.type"),
        ("{{ ticket.id | append: ticket.type }}", Cause.MISSING, "ticket.type"),
        ("{% assign t = ticket.type %}{{ t }}", Cause.MISSING, "ticket.type"),
        ("{{ ticket.tags | join: ',' }}", Cause.MISSING, "ticket.tags"),
        ("{{ payload.null_ }}", Cause.MISSING, "payload.null_"),
        ("{{ payload['null'] }}", Cause.MISSING, "payload.null"),
        ("{{ payload.last }}", Cause.MISSING, "payload.last"),
        ("{{ payload.id.more }}", Cause.MISSING, "payload.id.more"),
        ("{{ payload.items[1].name }}", Cause.MISSING, "payload.items[1].name"),
        ("{% for item in payload.items %}{{ item.name }}{% endfor %}", Cause.MISSING, "payload.items[1].name"),
        ("{{ payload.left }}", Cause.UNRENDERED, "payload.left"),
        ("{{ person.phone }}", Cause.UNRENDERED, "person.phone"),
        ("{{ ticket.requester.phone | strip }}", Cause.UNRENDERED, "ticket.requester.phone"),
        ("{{ person.phone | default: '' }}", Cause.UNRENDERED, "person.phone"),
        ("{% if ticket.type %}{{ ticket.type }}{% endif %}", Cause.MISSING, "ticket.type"),
        ("   ", Cause.MISSING, "template gives no text"),
        ("{{ nil }}", Cause.MISSING, "template gives no text"),
        ("{{ payload.null_ | default: '' }}", Cause.MISSING, "payload.null_"),
    ],
)
def test_a_required_parameter_without_a_value_is_a_problem_that_names_the_placeholder(source, cause, named):
    problem = problem_of(source, values_of({"ticket.requester.phone": "{{ticket.requester.phone}}"}))
    assert (problem.parameter, problem.cause) == ("p", cause)
    assert named in problem.message


def test_a_required_parameter_that_the_rule_does_not_map_is_a_problem():
    filled = fill({}, values_of(), required=["email"])
    [problem] = filled.problems
    assert (problem.parameter, problem.cause) == ("email", Cause.MISSING)


def test_an_optional_parameter_without_a_value_is_left_out_with_a_warning():
    filled = fill(
        {"id": "{{ ticket.id }}", "phone": "{{ ticket.requester.phone }}", "none": ""}, values_of(), required=["id"]
    )
    assert (dict(filled.values), filled.problems) == ({"id": "35436"}, ())
    assert filled.warnings == (
        "phone is left out, since ticket.requester.phone is missing from the event.",
        "none is left out, since its template gives no text.",
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ ticket.type | default: 'none' }}", "none"),
        ("{{ ticket.type | default: ticket.id }}", "35436"),
        ("{{ ticket.requester.phone | default: '-' }}", "-"),
        ("{{ payload.no | default: 'x' }}", "x"),
        ("{{ payload.no | default: 'x', allow_false: true }}", "false"),
        ("{{ payload.empty_list | default: 'x' }}", "x"),
        ("{% unless ticket.type %}untyped{% endunless %}", "untyped"),
        ("{% if ticket.type == nil %}untyped{% endif %}", "untyped"),
        ("{% if ticket.type == 'incident' %}a{% elsif ticket.id %}b{% endif %}", "b"),
        ("{% if ticket.type contains 'x' %}a{% else %}b{% endif %}", "b"),
        ("{% if ticket.type > 'x' %}a{% else %}b{% endif %}", "b"),
        ("{% for tag in ticket.tags %}{{ tag }}{% else %}untagged{% endfor %}", "untagged"),
        ("{% case ticket.type %}{% when 'a' %}a{% else %}other{% endcase %}", "other"),
    ],
)
def test_a_missing_value_may_be_tested_defaulted_and_looped_over(source, expected):
    assert text_of(source, values_of({"ticket.requester.phone": "#{phone}"})) == expected


def test_messages_hold_names_and_no_values():
    values = values_of({"ticket.title": "secret subject", "ticket.requester.email": "ada@example.com"})
    sources = [
        "{{ ticket.title | plus: 1 }}",
        "{{ ticket.requester.email | date: '%Y' }}",
        "{{ payload.items | map: ticket.requester.email | first }}",
        "{{ payload.items | where: ticket.title, 'x' | first }}",
        "{% if ticket.title > 3 %}x{% endif %}",
        "{{ payload.quote | base64_decode }}",
        "{{ payload.order }}",
    ]
    for source in sources:
        message = problem_of(source, values).message
        assert not any(value in message for value in ("secret", "ada@", "please", "5.00")), message


# --- filters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ 'ab' | append: 'c' | prepend: '-' }}", "-abc"),
        ("{{ 'hello world' | capitalize }}", "Hello world"),
        ("{{ 'ŁÓDŹ' | downcase }}{{ 'žluť' | upcase }}", "łódźŽLUŤ"),
        ("{{ '  a  ' | lstrip }}|{{ '  a  ' | rstrip }}|{{ '  a  ' | strip }}", "a  |  a|a"),
        ("{{ ' a \n  b ' | squish }}", "a b"),
        ("{{ 'a\nb' | strip_newlines }}{{ 'a\r\nb' | newline_to_br }}", "aba<br />\nb"),
        ("{{ '<b>x</b> < y' | strip_html }}", "x < y"),
        ("{{ '<&amp;>' | escape }}{{ '<&amp;>' | escape_once }}", "&lt;&amp;amp;&gt;&lt;&amp;&gt;"),
        ("{{ 'a b&ł' | url_encode }}{{ 'a+b%26' | url_decode }}", "a+b%26%C5%82a b&"),
        ("{{ 'ł' | base64_encode }}{{ 'xYI=' | base64_decode }}", "xYI=ł"),
        ("{{ 'aXbXc' | remove: 'X' }}{{ 'aXbX' | remove_first: 'X' }}{{ 'aXbX' | remove_last: 'X' }}", "abcabXaXb"),
        ("{{ 'aXbX' | replace: 'X', '-' }}{{ 'aX' | replace: 'X' }}", "a-b-a"),
        ("{{ 'aXbX' | replace_first: 'X', '-' }}{{ 'aXbX' | replace_last: 'X', '-' }}", "a-bXaXb-"),
        ("{{ 'abc' | replace: '', '-' }}{{ 'abc' | replace_last: 'q', '-' }}", "abcabc"),
        ("{{ 'abcdef' | slice: 1, 3 }}{{ 'abcdef' | slice: -2, 2 }}{{ 'abc' | slice: 0 }}", "bcdefa"),
        ("{{ 'abc' | slice: 9 }}{{ 'abc' | slice: 0, -1 }}.", "."),
        ("{{ 'a,b' | split: ',' | slice: 1 | first }}", "b"),
        ("{{ 'Ground control' | truncate: 9 }}{{ 'abc' | truncate: 9 }}", "Ground...abc"),
        ("{{ 'Ground control' | truncate: 6, '' }}", "Ground"),
        ("{{ 'a b c d' | truncatewords: 2 }} {{ 'a b' | truncatewords: 5 }}", "a b... a b"),
        ("{{ 'a,b,,c' | split: ',' | join: '-' }}", "a-b-c"),
        ("{{ 'abc' | split: '' | reverse | join: '' }}", "cba"),
        ("{{ 'a  b c' | split: ' ' | size }}", "3"),
        ("{{ 'b,A,c' | split: ',' | sort }}|{{ 'b,A,c' | split: ',' | sort_natural }}", "A b c|A b c"),
        ("{{ 'b,a,B' | split: ',' | sort }}|{{ 'b,a,B' | split: ',' | sort_natural }}", "B a b|a b B"),
        ("{{ 'a,b,a' | split: ',' | uniq }}", "a b"),
        ("{{ 'a,b' | split: ',' | concat: payload.mixed }}", "a b a 2"),
        ("{{ payload.mixed | compact | size }}", "2"),
        ("{{ payload.items | map: 'name' }}", "bolt"),
        ("{{ payload.items | find: 'name', 'bolt' | map: 'id' }}", "1"),
        ("{{ payload.items | where: 'name' | size }}", "1"),
        ("{{ payload.items | sort: 'name' | map: 'id' }}", "1 2"),
        ("{{ payload.items | sum: 'id' }}", "3"),
        ("{{ 'a,b' | split: ',' | last }}", "b"),
        ("{{ 4 | plus: 2 }} {{ 4 | minus: 2 }} {{ 4 | times: 2 }} {{ 7 | divided_by: 2 }}", "6 2 8 3"),
        ("{{ 7 | divided_by: 2.0 }} {{ 7 | modulo: 3 }} {{ -7 | modulo: 3 }} {{ -7 | abs }}", "3.5 1 2 7"),
        ("{{ 0.1 | plus: 0.2 }} {{ '1.5' | times: 2 }} {{ '10' | plus: '5' }}", "0.3 3 15"),
        ("{{ 1.2 | ceil }} {{ 1.8 | floor }} {{ 2.5 | round }} {{ 2.345 | round: 2 }}", "2 1 3 2.35"),
        ("{{ 5 | at_least: 7 }} {{ 5 | at_most: 3 }}", "7 3"),
        ("{{ payload.price | times: 3 }}", "3.3"),
        ("{{ payload.id | plus: 1 }}", "900719925474099313"),
        ("{{ '2026-11-03T16:05:12Z' | date: '%d.%m.%Y %H:%M' }}", "03.11.2026 16:05"),
        ("{{ 'Tue, 03 Nov 2026 16:05:12 +0100' | date: '%F %z' }}", "2026-11-03 +0100"),
        ("{{ '0' | date: '%Y-%m-%d' }}", "1970-01-01"),
    ],
)
def test_filters_mean_what_liquid_says(source, expected):
    assert text_of(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' | plus: 1 }}",
        "{{ 1 | divided_by: 0 }}",
        "{{ 1 | modulo: 0 }}",
        "{{ 'NaN' | plus: 1 }}",
        "{{ '1e999999' | plus: 1 }}",
        "{{ '1e-999999' | plus: 1 }}",
        "{{ 'yesterday' | date: '%Y' }}",
        "{{ 'now' | date: '%Y' }}",
        "{{ '99999999999999999999' | date: '%Y' }}",
        "{{ 0 | date: '%1000000d' }}",
        "{{ 0 | date: '%s' }}",
        "{{ payload.order }}",
        "{{ payload }}",
        "{% if ticket.id > 3 %}x{% endif %}",
        "{% break %}",
        "{% for i in payload.items %}{{ forloop }}{% endfor %}",
        "{{ payload.items }}",
        "{{ '\ud800' }}",
    ],
)
def test_a_template_that_fails_on_an_event_is_a_problem_of_its_parameter_even_of_an_optional_one(source):
    filled = fill({"p": source, "id": "{{ ticket.id }}"}, values_of(), required=["id"])
    [problem] = filled.problems
    assert (problem.parameter, problem.cause) == ("p", Cause.TEMPLATE)
    assert dict(filled.values) == {"id": "35436"}


# --- saving -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*CATALOGUE, "ticket.custom.any", "payload.a.b", "payload.items[0].id"])
def test_every_placeholder_of_the_catalogue_may_be_mapped(name):
    assert check_mapping({"p": f"{{{{ {name} }}}}"}) == []
    assert placeholders_of(f"{{{{ {name} }}}}") == {name}


@pytest.mark.parametrize(
    "source",
    [
        "{{ ticket.tags.first }}{{ ticket.tags[0] }}{{ ticket.tags.size }}{{ ticket.title.size }}",
        "{{ payload[0].id }}",
        "{% assign name = ticket.id %}{{ name }}",
        "{% capture name %}x{% endcapture %}{{ name }}",
        "{% for tag in ticket.tags %}{{ tag }}{{ forloop.index }}{% endfor %}",
        "{% for i in (1..1000) %}{% if i > 3 %}{% break %}{% endif %}{% continue %}{% endfor %}",
        "{% comment %}{{ anything }}{% endcomment %}{% # a remark %}{% raw %}{{ raw }}{% endraw %}x",
        "{% case ticket.type %}{% when 'a' or 'b' %}1{% else %}2{% endcase %}",
    ],
)
def test_local_names_and_parts_of_lists_may_be_mapped(source):
    assert check_mapping({"p": source}) == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ tiket.id }}", "`tiket.id`, which is not a placeholder. Did you mean `ticket.id`?"),
        ("{{ ticket.requestor.email }}", "Did you mean `ticket.requester.email`?"),
        ("{% if nobody %}x{% endif %}", "`nobody`, which is not a placeholder."),
        ("{{ now }}", "`now`, which is not a placeholder."),
        ("{{ ticket.requester }}", "a group of placeholders; name one of them, as in `ticket.requester.name`"),
        ("{{ payload }}", "the whole message"),
        ("{{ ticket.title.first }}", "not a placeholder"),
        ("{{ name }}{% assign name = 'x' %}", "`name`"),
        (
            "{{ ticket.id | upcas }}",
            "the filter `upcas` (line 1, column 16), which is not known. Did you mean `upcase`?",
        ),
        ("{{ ticket.id | append }}", "gives the filter `append` arguments that it does not take"),
        ("{{ ticket.id | truncate: 1, 2, 3 }}", "gives the filter `truncate` arguments"),
        ("{{ ticket.id | default: 1, alow: 2 }}", "gives the filter `default` arguments"),
        ("a\nb {% unles x %}", "the tag `unles` (line 2, column 6)"),
        ("{% unles x %}", "Did you mean `unless`?"),
        ("{% include 'x' %}", "the tag `include`"),
        ("{% render 'x' %}", "the tag `render`"),
        ("{% tablerow x in y %}{% endtablerow %}", "the tag `tablerow`"),
        ("{% endif %}", "a tag `endif` that belongs to no tag before it"),
        ("{{ ticket.id", "line 1, column 1"),
        ("{{ ticket.id }", "not a valid template"),
        ("{% if ticket.id %}", "endif"),
        ("{{ }}", "not a valid template"),
        ("{{ 'a' 'b' }}", "line 1, column 8"),
        ("{{ payload.limit }}", 'stands in brackets: `["limit"]`'),
        ("{{ payload[ticket.id] }}", "brackets"),
        ("{{ [0] }}", "not a valid template"),
        ("{% if ticket.type == blank %}x{% endif %}", "`{% if name %}`"),
        ("{% if '' != ticket.type %}x{% endif %}", "`{% if name %}`"),
        ("{{ (1..3) | join }}", "a range outside `for`"),
        ("{% assign r = (1..3) %}", "a range outside `for`"),
        ("{% if (1..3) contains 2 %}x{% endif %}", "a range outside `for`"),
        ("{% for i in (1..1001) %}{% endfor %}", "a range of more than 1,000 numbers"),
        ("{% for i in (1..ticket.id) %}{% endfor %}", "not a plain whole number"),
        ("x" * 4001, "longer than 4,000 characters"),
        ("{{" + " " * 200 + "}}", "100 spaces"),
    ],
)
def test_a_mistake_is_refused_when_it_is_saved(source, said):
    problems = check_mapping({"email": source})
    assert problems
    assert problems[0].place == "email"
    assert said in problems[0].message


def test_each_parameter_is_checked_on_its_own():
    problems = check_mapping({"a": "{{ x.a }}{{ x.b }}", "b": "{{ ticket.id }}", "c": "{{"})
    assert [problem.place for problem in problems] == ["a", "a", "c"]


def test_a_template_saved_before_a_rule_was_tightened_is_a_problem_and_not_a_crash():
    problem = problem_of("{% include 'x' %}")
    assert (problem.cause, "the tag `include`" in problem.message) == (Cause.TEMPLATE, True)


# --- hostile templates ------------------------------------------------------------------------------------------------


def repeated(unit, head="", tail=""):
    """As many units as a template may have."""
    return head + unit * ((template.SOURCE_LIMIT - len(head) - len(tail)) // len(unit)) + tail


REFUSED_AT_SIGHT = {
    "a huge range, backwards": "{% for i in (1..1000000000) reversed %}{% endfor %}",
    "a range that overflows": "{{ (1..9999999999999999999999) | size }}",
    "many filters": "{{ 1" + " | abs" * 21 + " }}",
    "a long chain of or": "{% if " + " or ".join(["a"] * 60) + " %}x{% endif %}",
    "a chain that exhausts the stack": "{% if " + " or ".join(["a"] * 780) + " %}x{% endif %}",
    "nested brackets": "{{ a" + "[a" * 1300 + "]" * 1300 + " }}",
    "nested blocks": repeated("{% if a %}"),
    "open tags": repeated("{% "),
    "open outputs": repeated("{{ "),
    "open raws": repeated("{% raw %}"),
    "open comments": repeated("{% comment %}"),
    "spaces": "{{" + " " * 3990,
    "spaces in portions": "{{" + (" " * 99 + "a") * 39,
}


@pytest.mark.parametrize("source", REFUSED_AT_SIGHT.values(), ids=REFUSED_AT_SIGHT)
@pytest.mark.timeout(20)
def test_a_hostile_template_is_refused_at_sight(source):
    with pytest.raises(TemplateInvalid):
        compile_template(source)


CUT_OFF = {
    "replace in a chain": "{{ 'aaaaaaaaaa'" + " | replace: 'a', 'aaaaaaaaaa'" * 19 + " | size }}",
    "append doubles": "{% assign a = 'xxxxxxxxxx' %}" + "{% assign a = a | append: a %}" * 130,
    "capture doubles": "{% assign a = 'x' %}" + "{% capture a %}{{ a }}{{ a }}{% endcapture %}" * 60,
    "concat doubles": "{% assign a = 'x,y' | split: ',' %}" + "{% assign a = a | concat: a %}" * 110,
    "concat of long texts": "{% assign a = payload.texts %}" + "{% assign a = a | concat: a %}" * 6 + "{{ a }}",
    "many names": "".join(f"{{% assign a{n} = payload.text | append: '' %}}" for n in range(80)),
    "split into characters": "{{ payload.text | split: '' | size }}",
    "times": "{{ 9" + " | times: 99999999" * 20 + " }}",
    "digits": "{{ " + "9" * 3900 + " | plus: 1 }}",
    "a full template in a loop": repeated("{{''}}", "{% for i in (1..1000) %}", "{% endfor %}"),
    "many loops": repeated("{% for i in (1..999) %}{% endfor %}"),
    "loops in loops": "{% for a in (1..40) %}{% for b in (1..40) %}x{% endfor %}{% endfor %}",
    "filters in a loop": "{% for i in (1..1000) %}{% assign x = payload.text | upcase | downcase | size %}{% endfor %}",
    "comparing long texts": "{% for i in (1..999) %}{% if payload.long contains payload.long %}{% endif %}{% endfor %}",
    "a long list": "{% for i in payload.long_list %}{{ i }}{% endfor %}",
    "a long list, backwards": "{% for i in payload.long_list reversed %}{{ i }}{% endfor %}",
    "a long list printed": "{{ payload.long_list }}",
    "sorting again and again": repeated("{% assign x = payload.list | sort %}"),
    "uniq again and again": repeated("{% assign x = payload.list | uniq %}"),
    "where again and again": repeated("{% assign x = payload.list | where: 'a', 1 %}"),
    "looking into a list again and again": repeated("{% if payload.list contains 'q' %}{% endif %}"),
    "truncating again and again": repeated("{{ payload.long | truncate: 1 }}"),
    "join by a long text": "{{ payload.list | join: payload.text }}",
    "a long text": "{{ payload.long }}",
    "a long text escaped": "{{ payload.tags_only | escape }}",
    "calculating with a list": "{{ payload.deep | sort | uniq | join: ',' }}{{ payload.deep | plus: 1 }}",
}
HOSTILE_PAYLOAD = {
    "text": "x" * TEXT_LIMIT,
    "long": "a" * 900_000,
    "texts": ["x" * 100_000] * 9,
    "list": list(range(1000)),
    "long_list": list(range(100_000)),
    "tags_only": "<" * TEXT_LIMIT,
    "deep": [[[[["x"]]]]],
    "no": False,
}


@pytest.mark.parametrize("source", CUT_OFF.values(), ids=CUT_OFF)
@pytest.mark.timeout(20)
def test_a_hostile_template_that_looks_harmless_is_cut_off(source):
    compile_template(source)
    problem = problem_of(source, values_of(payload=HOSTILE_PAYLOAD))
    assert problem.cause is Cause.TEMPLATE


@pytest.mark.parametrize(
    "source",
    [
        *CUT_OFF.values(),
        "{% for i in (1..1000) %}{{ i }}{% endfor %}",
        repeated("{{''}}", "{% for i in (1..49) %}", "{% endfor %}"),
        repeated("{% assign x = payload.text | strip_html %}"),
    ],
)
@pytest.mark.timeout(20)
def test_the_work_of_one_rendering_stays_within_its_budget(source):
    budget = template.Budget()
    with suppress(RenderFailed):
        compile_template(source).render(values_of(payload=HOSTILE_PAYLOAD).scope, budget)
    assert budget.work <= template.WORK_LIMIT
    assert budget.rounds <= template.ROUND_LIMIT


@pytest.mark.parametrize(
    ("source", "work", "rounds"),
    [
        ("{{ ticket.id }}", 0, 0),
        ("{{ ticket.id | upcase }}", 20, 0),
        ("{{ payload.text | size }}", 200 + 20 + 200, 0),
        ("{{ payload.list | size }}", 10_000 + 20 + 10_000, 0),
        ("{% for i in (1..5) %}{% endfor %}", 5 * 33, 5),
        ("{% for i in (1..5) %}{% for i in (1..5) %}{% endfor %}{% endfor %}", (5 + 25) * 66, 5 + 25),
    ],
)
def test_loops_filters_and_long_values_are_work(source, work, rounds):
    budget = template.Budget()
    compile_template(source).render(values_of(payload=HOSTILE_PAYLOAD).scope, budget)
    assert budget == template.Budget(work, rounds)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ticket.__class__ }}",
        "{{ ticket.title.__class__.__mro__ }}",
        "{{ payload.items.__len__ }}",
        "{{ payload._entries }}",
        "{{ payload.name }}",
        "{{ ticket.title.upper }}",
        "{% for i in payload.items %}{{ i.name.encode }}{{ i._entries }}{% endfor %}",
        "{{ payload.items | map: '__class__' | first }}",
    ],
)
def test_python_attributes_are_out_of_reach(source):
    problem = problem_of(source, values_of({"ticket.title": "x"}, payload={"items": [{"id": 1, "name": "n"}]}))
    assert problem.cause is Cause.MISSING


def test_a_rendering_leaves_nothing_behind_for_the_next_one():
    source = "{% if seen %}again{% else %}first{% endif %}{% assign seen = 'x' %}"
    assert [text_of(source), text_of(source)] == ["first", "first"]


# --- whatever comes ---------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        "{{", "}}", "{%", "%}", " ", "-", "if ", "endif", "for i in ", "endfor", "assign x = ", "capture x",
        "endcapture", "case ", "when ", "else", "ticket", ".", "id", "tags", "payload", "[0]", "['a']", "(1..3)", "| ",
        "upcase", "plus: ", "split: ''", "join", "date: ", "'x'", '"', "1", "9" * 40, "1.5", "nil", "==", ">",
        "contains", "and ", "or ", "\n", "{{ ticket.id }}",
        "{{ payload.a | map: 'b' | sum }}", "{% if payload.a > 1 %}y{% endif %}", "{% break %}",
    ]
)  # fmt: skip
FILTER_NAMES = st.sampled_from(sorted(template.FILTERS))
ARGUMENTS = st.sampled_from(
    ["1", "-1", "0", "'x'", "''", "payload.a", "payload.b", "nil", "true", "9.5", "ticket.tags"]
)
CHAINS = st.builds(
    lambda first, filters: "{{ " + first + "".join(filters) + " }}",
    ARGUMENTS,
    st.lists(
        st.builds(
            lambda name, arguments: f" | {name}" + (": " + ", ".join(arguments) if arguments else ""),
            FILTER_NAMES,
            st.lists(ARGUMENTS, max_size=2),
        ),
        max_size=4,
    ),
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["{{ x }}", "2026-11-03", "1e999", "-0", "<" * 50])
)
PAYLOADS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "first", "size", "a.b", ""]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.lists(PIECES, max_size=14).map("".join), CHAINS, st.text(max_size=40)), PAYLOADS)
def test_fill_never_raises(source, payload):
    values = values_of({"ticket.tags": ["a", "b"]}, payload={"a": payload, "b": [payload]})
    filled = fill({"p": source}, values, required=["p"])
    assert ("p" in filled.values) != bool(filled.problems)
    check_mapping({"p": source})


@settings(max_examples=150, deadline=None)
@given(PAYLOADS, st.text(alphabet="payload.[]0ab-", max_size=20))
def test_looking_up_never_raises(payload, path):
    found = values_of(payload={"a": payload, "b": payload}).lookup(f"payload.{path}")
    assert found is None or isinstance(found, str | tuple)


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_any_text_comes_out_as_it_went_in(text):
    filled = fill({"p": "{{ ticket.title }}"}, values_of({"ticket.title": text}), required=[])
    if text.strip() and "{" not in text:
        assert filled.values["p"] == text
