"""Sendios: one SMS to one person, from a template in the tenant's account. The body's `data` decides.

send_sms: https://sendios.readme.io/v2/reference/send-system-trigger-sms
Authorisation: https://sendios.readme.io/v2/reference/getting-started-with-your-api-1 (the key as it is) and
https://github.com/sendios/php-sdk (its SHA-1; the one error text that is documented).
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

from plugin.domain.fields import Choice, Origin, SecretText, StrictSchema, Text
from plugin.domain.outcome import Accepted, Outcome, Reason, Rejected, Uncertain
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall
from plugin.redaction import Secret
from plugin.surveys.base import Call, PastedUrl, Recognised, Settings, Step, Vendor
from plugin.surveys.base.answers import clean_words, outcome_for_status, read_object
from plugin.surveys.base.fields import FreeText, Language, Phone, WholeNumber

ORIGIN: Final = "https://api.sendios.io"
_PATH: Final = ("v1", "sms", "send", "system")
_PAGE: Final = "https://sendios.readme.io/v2/reference/send-system-trigger-sms"

# Looked for in the error after folding case. No other text of an error is documented.
REASONS: Final[Mapping[str, Reason]] = {"authorization base64 data wrong or invalid": Reason.CREDENTIALS}

#: How the key stands in the header: the documentation shows it as it is, the vendor's own library sends its SHA-1.
_KEY_FORMS: Final[Mapping[str, str]] = {"plain": "API key, as it is", "sha1": "SDK key (client token), as its SHA-1"}

#: The fields of the body that the vendor takes as numbers, of those about the person, and the template's variables.
_NUMBERS: Final = ("type_id", "project_id")
_USER_FIELDS: Final = ("name", "language_id")
_VALUES: Final = tuple(f"value_{number}" for number in range(1, 6))
_VARIABLES: Final = ("text", "link", *_VALUES)


class Connection(StrictSchema):
    client_id = Text(
        label="Client id",
        help="The clientId that your Customer Success Manager at Sendios tells you.",
        example="123",
        required=True,
        pattern=r"[^:]+\Z",
        pattern_message="must hold no colon.",
    )
    api_key = SecretText(label="Key", help="Told together with the client id.", required=True)
    key_form = Choice(
        _KEY_FORMS,
        label="Kind of key",
        help="Ask which of the two you were given; the other one is refused.",
        example="plain",
        load_default="plain",
    )
    # The page says that the body holds the recipient's phone number, but not readably under which name.
    phone_field = Text(
        label="Name of the phone number's field",
        help="Change it only if Sendios tells you another name.",
        example="phone",
        pattern=r"[a-z][a-z_]{0,39}\Z",
        pattern_message="must be lower case letters and _.",
        load_default="phone",
    )
    origin = Origin((ORIGIN,), label="Address", help="Leave it out to use the vendor's own.", example=ORIGIN)


SendSms = StrictSchema.from_dict(
    {
        "type_id": WholeNumber(
            label="SMS type", help="Id of the transactional SMS in your account.", example="15", required=True
        ),
        "project_id": WholeNumber(label="Project", help="Id of the project at Sendios.", example="99", required=True),
        "phone": Phone(help="With the country's code; spaces, brackets and dashes are taken out.", required=True),
        "client_user_id": Text(
            label="Id of the person at your side",
            help="It comes back in reports, by which they find this SMS again.",
            example="{{ delivery.reference }}",
            max_length=128,
            required=True,
        ),
        "text": FreeText(label="Text", help="The template's variable `text`.", max_length=1000),
        "link": Text(label="Link", help="The template's variable `link`.", example="{{ link.url }}", max_length=2000),
        **{name: FreeText(label=f"Value {name[-1]}", help=f"The template's variable `{name}`.") for name in _VALUES},
        "name": Text(
            label="Name", help="Kept by Sendios with the person.", example="{{ person.name }}", max_length=128
        ),
        "language_id": Language(help="Two letters. Kept by Sendios with the person."),
    },
    name="SendSms",
)

VENDOR: Final = Vendor(
    title="Sendios",
    connection=Connection,
    origins=(ORIGIN,),
    help="Sends SMS. What becomes of them comes back through a source of kind `sendios`.",
    calls={
        "send_sms": Call(
            label="Send an SMS",
            help="Sends one SMS made from a template in your Sendios account. Sendios queues it and sends it later.",
            parameters=SendSms,
            # Nothing is said about repeating, so a repeat can send a second SMS.
            steps=[Step("send", source=_PAGE)],
            defaults={"phone": "{{ person.phone }}", "client_user_id": "{{ delivery.reference }}"},
            tracked="client_user_id",
        ),
    },
)


def build_request(call: SurveyCall, connection: Settings, step: str, memory: Mapping[str, str]) -> OutboundRequest:
    del step, memory  # a single step
    authorization, disguised = _authorization(connection)
    return OutboundRequest(
        "POST",
        connection.get("origin") or ORIGIN,
        _PATH,
        json=_body(call.parameters, connection["phone_field"]),
        headers=(("Authorization", authorization),),
        disguised=disguised,
    )


def _body(values: Mapping[str, str], phone_field: str) -> dict[str, Any]:
    # As in the sister call for e-mail: facts about the person stand under data.user, template variables beside it.
    user = _filled(values, _USER_FIELDS)
    data: dict[str, Any] = {**({"user": user} if user else {}), **_filled(values, _VARIABLES)}
    return {
        phone_field: values["phone"],
        **{name: int(values[name]) for name in _NUMBERS},
        "client_user_id": values["client_user_id"],
        **({"data": data} if data else {}),
    }


def _filled(values: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: values[name] for name in names if values.get(name)}


def _authorization(connection: Settings) -> tuple[Secret, tuple[Secret, ...]]:
    """The header's value, and every form of the key that is in it."""
    key = connection["api_key"].reveal()
    if connection["key_form"] == "sha1":
        # What the vendor prescribes; nothing rests on the hash being strong.
        key = hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest()
    encoded = b64encode(f"{connection['client_id']}:{key}".encode()).decode("ascii")
    return Secret(f"Basic {encoded}"), (connection["api_key"], Secret(key), Secret(encoded))


def read_response(call: SurveyCall, response: OutboundResponse, step: str, memory: Mapping[str, str]) -> Outcome:
    """What `data` says counts: the statuses of errors are documented nowhere, and the vendor's clients ignore them."""
    del call, step, memory
    data = read_object(response).get("data")
    answer = data if isinstance(data, dict) else {}
    error = answer.get("error")
    if isinstance(error, str) and error.strip():
        return _read_error(response, error)
    if answer.get("queued") is True and not answer.get("error") and 200 <= response.status < 300:
        # It was checked and stands in the queue. Whether it was sent or lost is told by a report.
        return Accepted()
    return outcome_for_status(response)


def _read_error(response: OutboundResponse, error: str) -> Outcome:
    folded = " ".join(error.casefold().split())
    for text, reason in REASONS.items():
        if text in folded:
            return Rejected(reason, clean_words(error))
    # An error means that nothing was queued. A status that says more (401, 429, ...) is heard; one that would leave the
    # matter open (200, 500) is not.
    by_status = outcome_for_status(response, words=error)
    return Rejected(Reason.REFUSED, clean_words(error)) if isinstance(by_status, Uncertain) else by_status


def recognise_url(url: PastedUrl) -> Recognised | None:
    """The address of the call. Its parameters and its key are no part of it, so little can be taken from it."""
    if url.origin != ORIGIN or tuple(segment for segment in url.segments if segment) != _PATH:
        return None
    known = VENDOR.calls["send_sms"].parameters().fields
    parameters = {**VENDOR.calls["send_sms"].defaults, **{name: value for name, value in url.query if name in known}}
    warnings = ["The address holds neither credentials nor parameters: fill in client_id, type_id and project_id."]
    if ignored := [name for name, _ in url.query if name not in known]:
        warnings.append(f"Not taken over, because this call does not have them: {', '.join(ignored)}.")
    return Recognised("send_sms", {}, parameters, tuple(warnings))
