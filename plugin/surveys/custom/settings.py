"""The settings of a connection that says itself how its vendor is called, and what keeps them from making sense."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from marshmallow import ValidationError, post_load

from plugin.domain.fields import Choice, Flag, Group, Named, Number, Origin, Rows, SecretText, StrictSchema, Text
from plugin.surveys.base.described import KINDS, Described
from plugin.surveys.custom.answers import MEANINGS, problems_of
from plugin.surveys.custom.presets import PRESETS
from plugin.surveys.custom.slots import NAME_MESSAGE, NAME_PATTERN, Slot, slots_in

#: Headers that the program itself writes, or that would change how the request is read on its way.
_OWN_HEADERS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

#: How deep a JSON document may be nested.
_DEEPEST: Final = 20

_PATH_IN_ANSWER: Final = "Names and positions with dots between: `data.0.id`."


class Basic(StrictSchema):
    user = SecretText(label="User", help="Some vendors take an API key here and no password.", required=True)
    password = SecretText(label="Password")


class Parameter(StrictSchema):
    kind = Choice(KINDS, label="Kind", example="email", load_default="text")
    required = Flag(label="Required", help="A rule without it is not saved.", load_default=False)
    max_length = Number(label="Longest", help="Characters.", minimum=1, maximum=20_000, example="255")
    label = Text(label="Label", help="For people; the name, unless given.", max_length=100)
    help = Text(label="Help", max_length=500)
    example = Text(label="Example", example="{{ person.email }}", max_length=200)


# `is` cannot be the name of an attribute.
Look = StrictSchema.from_dict(
    {
        "at": Text(label="Where in a JSON body", help=_PATH_IN_ANSWER, example="data.status", max_length=200),
        "header": Text(label="Header", help="Instead of the body.", example="X-Result", max_length=100),
        "is": Text(label="Is", help="The whole value, whatever its case; truth values are true and false."),
        "contains": Text(label="Contains", help="A part of it, whatever its case."),
        "present": Flag(label="Present", help="Whether there is such a value at all; null is none."),
    },
    name="Look",
)


class Answer(StrictSchema):
    status = Text(
        label="HTTP status",
        help="One or several of numbers and classes: `200, 202` or `4xx`. For `accepted` it is 2xx, unless given.",
        example="2xx",
        max_length=100,
        pattern=r"([1-5]xx|[1-5][0-9]{2})([\s,]+([1-5]xx|[1-5][0-9]{2}))*\Z",
        pattern_message="must be numbers such as 200 or classes such as 2xx, with commas between.",
    )
    look = Rows(
        Look,
        label="Look at",
        help="All of them must hold. Without `at` and `header`, it is about the body as text.",
        most=20,
        load_default=list,
    )
    means = Choice(
        {
            "accepted": "the vendor took the call",
            "rejected": "nothing was done, and the same call would fare no better",
            "retry": "certainly nothing was done; the call is made again later",
            "uncertain": "nobody knows; held for a person to decide",
        },
        label="Means",
        example="accepted",
        required=True,
    )
    reason = Choice(
        {reason.value: meaning for meaning, reasons in MEANINGS.items() for reason in reasons},
        label="Reason",
        help="credentials and quota pause the connection; opted_out ends invitations to this person.",
        example="quota",
    )
    after = Number(
        label="After",
        help="Seconds to wait before the call is made again; what the vendor's Retry-After says, unless given.",
        minimum=1,
        maximum=86_400,
        example="61",
    )
    reference = Text(label="Reference", help=f"The vendor's own id of the call. {_PATH_IN_ANSWER}", max_length=200)
    words = Text(label="Words", help=f"The vendor's message. {_PATH_IN_ANSWER}", max_length=200)
    status_is_enough = Flag(
        label="The status is enough",
        help="Take a success by its HTTP status alone; for vendors that answer without a body only.",
        load_default=False,
    )


class JsonText(Text):
    """A JSON document, written as text. Loads as the document."""

    default_error_messages = {  # noqa: RUF012  # marshmallow reads it from the class
        "json": "must be a JSON document written as text, and is not{where}. "
        "In YAML it stands in quotes or behind `|`.",
        "deep": "is nested too deeply.",
    }

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            document = json.loads(text, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            raise self.make_error("json", where=f": line {error.lineno}, column {error.colno}") from None
        except ValueError:
            raise self.make_error("json", where="") from None
        except RecursionError:
            raise self.make_error("deep") from None
        if _depth(document) > _DEEPEST:
            raise self.make_error("deep")
        return document


def _refuse_constant(name: str) -> None:
    """Python reads and writes NaN and Infinity, which JSON does not know."""
    raise ValueError(name)


def _depth(document: Any) -> int:
    level, depth = [document], 0
    while level:
        groups = [entry for entry in level if isinstance(entry, dict | list)]
        level = [inner for group in groups for inner in (group.values() if isinstance(group, dict) else group)]
        depth += 1
    return depth


def _templates(label: str, help: str, **kwargs: Any) -> Named:  # noqa: A002  # the word that forms use
    value = Text(label=label, max_length=2000, required=True)
    return Named(
        value,
        label=label,
        help=help,
        name_pattern=r"[\x21-\x7e]{1,100}\Z",
        name_message="must be a name of letters, digits and signs without spaces.",
        **kwargs,
    )


_SLOTS_HELP: Final = "Values are fixed texts with slots, {name} for a parameter and {secret:name} for a secret."


class Connection(StrictSchema):
    preset = Choice(
        {"none": "another vendor, described here", **{name: preset.title for name, preset in PRESETS.items()}},
        label="Preset",
        help="Gives all that is not set here; parameters and answers that are set here are added to its own.",
        example="surveysparrow",
        load_default="none",
    )
    origin = Origin(
        tuple(origin for preset in PRESETS.values() for origin in preset.origins),
        label="Address",
        help="Scheme and host of the vendor's API. A preset has one, but an account in another region needs its own.",
        example="https://api.example.com",
    )
    method = Choice(
        {"get": "GET", "post": "POST", "put": "PUT", "patch": "PATCH"}, label="Method", help="POST, unless given."
    )
    path = Text(
        label="Path",
        help=f"Behind the address, not encoded: that is done for you. {_SLOTS_HELP} A slot never leaves its segment.",
        example="/v2/surveys/{survey}/invitations",
        max_length=1000,
        pattern=r"/[^?#%\\]*\Z",
        pattern_message="must begin with / and hold no ? # % or \\; the query has a setting of its own.",
    )
    query = _templates("Query", f"Sent in the URL. {_SLOTS_HELP} What lacks a value is left out with its name.")
    headers = _templates("Headers", _SLOTS_HELP)
    basic = Group(Basic, label="Basic authentication", help="Sent as the header Authorization.")
    form = _templates("Form", f"The body as a form. {_SLOTS_HELP} What lacks a value is left out with its name.")
    json = JsonText(
        label="JSON",
        help="The body as a JSON document, instead of a form. A text that is nothing but one slot is sent as a number "
        f"or truth value if its parameter is of such a kind. {_SLOTS_HELP} What lacks a value is left out.",
        example='{"email": "{email}"}',
        max_length=20_000,
        multiline=True,
    )
    secrets = Named(
        SecretText(label="Secret", required=True),
        label="Secrets",
        help="By names of your own, for slots {secret:name}. Stored encrypted.",
        name_pattern=NAME_PATTERN,
        name_message=NAME_MESSAGE,
        load_default=dict,
    )
    parameters = Named(
        Group(Parameter, label="Parameter"),
        label="Parameters",
        help="What a rule can fill in, by name. Nothing else can be sent.",
        name_pattern=NAME_PATTERN,
        name_message=NAME_MESSAGE,
    )
    answers = Rows(
        Answer,
        label="Answers",
        help="What the vendor's answers mean: the first row that fits counts. Where none fits, the HTTP status "
        "decides, and a success that no row knows is never taken as one.",
    )

    @post_load
    def whole(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """The settings with those of the preset in them. Raises ValidationError for what does not fit together."""
        settings = _with_preset(data)
        messages: dict[str, Any] = {}
        for place, message in _problems(settings):
            messages.setdefault(place, []).append(message)
        if messages:
            raise ValidationError(messages)
        return settings


def _with_preset(data: Mapping[str, Any]) -> dict[str, Any]:
    """Complete settings: what the person gave before what the preset gives, and what goes without saying last."""
    plain: dict[str, Any] = {
        "method": "post",
        "query": {},
        "headers": {},
        "form": None,
        "json": None,
        "parameters": {},
        "answers": [],
    }
    preset = PRESETS.get(data["preset"])
    if preset is None:
        return {**plain, **data}
    # A preset is written as a person would write it, so it takes the same way.
    fields = Connection().fields
    given = {name: fields[name].deserialize(value) for name, value in preset.settings.items()}
    settings = {**plain, "origin": preset.origins[0], **given, **data}
    if "form" in data or "json" in data:
        settings |= {name: data.get(name) for name in ("form", "json")}
    settings["parameters"] = {**given["parameters"], **data.get("parameters", {})}
    # One's own rows come first, so that they can say something else than the preset's.
    settings["answers"] = [*data.get("answers", []), *given["answers"]]
    return settings


# --- what does not fit together ---------------------------------------------------------------------------------------


def _problems(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("origin", "path"):
        if not settings.get(name):
            yield name, "is required unless a preset is chosen."
    if settings["form"] is not None and settings["json"] is not None:
        yield "json", "cannot stand beside `form`; a request has one body."
    if settings["method"] == "get" and (settings["form"] is not None or settings["json"] is not None):
        yield "method", "get has no body; choose another one, or put the values into `query`."
    yield from _path_problems(settings.get("path", ""))
    yield from _header_problems(settings)
    yield from _person_problems(settings["parameters"])
    faulty = list(_slot_problems(settings))
    yield from faulty or _use_problems(settings)
    yield from _answer_problems(settings["answers"])


def _path_problems(path: str) -> Iterator[tuple[str, str]]:
    segments = path_segments(path)
    if any(segment in {".", ".."} for segment in segments):
        yield "path", "must not hold a segment . or .., which everybody on the way may fold."
    if "" in segments:
        yield "path", "must not hold an empty segment (//)."


def path_segments(path: str) -> list[str]:
    """The segments of a path's template; one slash at its end belongs to none."""
    return path.removeprefix("/").removesuffix("/").split("/") if path.strip("/") else []


def _header_problems(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, text in settings["headers"].items():
        if name.lower() in _OWN_HEADERS:
            yield "headers", f"{name} is written by the program itself; leave it out."
        elif not re.fullmatch(r"[A-Za-z0-9!#$&'*+.^_`|~-]+", name):
            yield "headers", f"{name} is no name of a header."
        if not text.isascii():
            yield "headers", f"{name} holds a letter that a header cannot hold."
        if name.lower() == "authorization" and "basic" in settings:
            yield "headers", f"{name} is written by `basic`; leave out one of them."


def _texts(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every setting that may hold slots, with its name."""
    yield "path", settings.get("path", "")
    for name in ("query", "headers", "form", "json"):
        yield name, settings[name]


def _slot_problems(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for place, texts in _texts(settings):
        try:
            slots = list(slots_in(texts))
        except ValueError as error:
            yield place, str(error)
            continue
        for slot in slots:
            if slot.name not in settings["secrets" if slot.secret else "parameters"]:
                yield place, _unknown_slot(slot)


def _unknown_slot(slot: Slot) -> str:
    if slot.secret:
        return f"has a slot {{secret:{slot.name}}}, and `secrets` holds no {slot.name}."
    return f"has a slot {{{slot.name}}}, and `parameters` declares no {slot.name}."


def _use_problems(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is declared and used nowhere, which is mostly a slip; and what a path cannot do without."""
    used = {(slot.secret, slot.name) for _, texts in _texts(settings) for slot in slots_in(texts)}
    for setting, secret in (("parameters", False), ("secrets", True)):
        for name in settings[setting]:
            if (secret, name) not in used:
                yield setting, f"{name} is used nowhere; put its slot somewhere, or leave it out."
    for slot in slots_in(settings["path"]):
        if not slot.secret and not settings["parameters"][slot.name]["required"]:
            yield "parameters", f"{slot.name} is a part of the path, so it must be required."


def _person_problems(parameters: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """A call whose person can be missing: what lacks a value is left out, and a filter with it."""
    contacts = [about for about in parameters.values() if about["kind"] in {"email", "phone"}]
    if not any(about["required"] for about in contacts or parameters.values()):
        message = (
            "none that says who is meant is required, so that a call without it could be about everybody; "
            "make the person's address, number or id required."
        )
        yield "parameters", message


def _answer_problems(rows: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for position, message in problems_of(rows):
        yield "answers", f"row {position + 1}: {message}"
    if not any(row["means"] == "accepted" for row in rows):
        yield "answers", "no row means `accepted`, so no answer could ever count as success."


# --- what follows from them -------------------------------------------------------------------------------------------


def described_parameters(settings: Mapping[str, Any]) -> Described:
    """The parameters of the call, for a schema: with the places that limit what they may hold."""
    in_path = {slot.name for slot in slots_in(settings["path"]) if not slot.secret}
    in_headers = {slot.name for slot in slots_in(settings["headers"]) if not slot.secret}
    return {
        name: {
            **about,
            "places": [place for place, names in (("path", in_path), ("header", in_headers)) if name in names],
        }
        for name, about in settings["parameters"].items()
    }
