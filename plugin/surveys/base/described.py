"""Parameters that a connection declares, as plain data: what a rule keeps, and the schema that is made of it.

Most vendors have the same parameters for everybody and declare them as a schema. Where a connection has its own, the
description goes with each rule that uses it, so that an event can be planned without opening the connection's secrets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from marshmallow import Schema, validate
from marshmallow.fields import Field

from plugin.domain.fields import StrictSchema, Text
from plugin.surveys.base.fields import Email, FreeText, Phone, WholeNumber, YesNo

#: Parameters by name. Each has `kind` and may have `required`, `max_length`, `label`, `help`, `example`, and
#: `places`: what else than a body or a query its value is put into, `path` or `header`.
Described = Mapping[str, Mapping[str, Any]]

KINDS: Final[Mapping[str, str]] = {
    "text": "any text",
    "email": "an e-mail address",
    "phone": "a phone number, sent as + and digits",
    "number": "a whole number",
    "yes_no": "yes or no, sent as 1 or 0",
}

# In a path, a lone dot or two mean something else. A header is a single line, and knows English letters only.
_CHECKS: Final = {
    "path": validate.Regexp(r"(?!\.{1,2}\Z)", error="must be more than dots, since it is a part of the URL's path."),
    "header": validate.Regexp(
        r"[\x20-\x7e]*\Z", error="may hold English letters, digits and signs only, since it is sent in a header."
    ),
}


def schema_of(described: Described) -> Schema:
    """The schema of described parameters; the same one for the same description."""
    return _schema_of(json.dumps(described))


@lru_cache(maxsize=1000)
def _schema_of(described: str) -> Schema:
    fields = {name: _field(name, about) for name, about in json.loads(described).items()}
    return StrictSchema.from_dict(fields, name="Described")()


def _field(name: str, about: Mapping[str, Any]) -> Field[Any]:
    places = about.get("places", ())
    options: dict[str, Any] = {
        "label": about.get("label") or name,
        "help": about.get("help", ""),
        "required": about.get("required", False),
        "checks": [_CHECKS[place] for place in places],
    }
    if "max_length" in about:
        options["max_length"] = about["max_length"]
    if "example" in about:
        options["example"] = about["example"]
    match about["kind"]:
        case "email":
            return Email(**options)
        case "phone":
            return Phone(**options)
        case "number":
            return WholeNumber(**options)
        case "yes_no":
            return YesNo(**options)
        case _:
            return Text(**options) if places else FreeText(**options)
