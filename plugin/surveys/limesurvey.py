"""LimeSurvey: RemoteControl 2 over JSON-RPC. One person is added to a survey's participants, then invited by mail.

The calls: https://manual.limesurvey.org/RemoteControl_2_API. What they answer is described nowhere in full, so the
texts below are those of the program itself, which is open: application/helpers/remotecontrol/remotecontrol_handle.php
and application/helpers/admin/token_helper.php in github.com/LimeSurvey/LimeSurvey.

An invitation takes four calls: log in, add, invite, log out. A fifth one, look, is made only where LimeSurvey says
that there is nobody to invite, to learn whether that is because the mail has left already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from plugin.domain.fields import Origin, SecretText, StrictSchema, Text
from plugin.domain.outcome import Accepted, NextRequest, Outcome, Reason, Rejected, RetryLater, Uncertain
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall
from plugin.redaction import Secret
from plugin.surveys.base import ANY_PUBLIC_HTTPS, Call, PastedUrl, Recognised, Settings, Step, Vendor
from plugin.surveys.base.answers import clean_words, outcome_for_status, read_object, words_of
from plugin.surveys.base.fields import Email, FreeText, Language, WholeNumber, filled

#: Where RemoteControl answers, unless the server's address rules say otherwise.
PATH: Final = "/index.php/admin/remotecontrol"

#: Columns attribute_1, attribute_2, ... of the participants table that can be filled. A survey may have more.
ATTRIBUTES: Final = 10

#: Logins in one delivery: the first, and one more for each session that LimeSurvey has forgotten.
LOGINS: Final = 3

# Looked up after folding case, without "Error: " in front: one and the same thing is written in several ways
# ("Invalid session key", "Invalid Session key", "Invalid Session Key").
_SESSION_OVER: Final = "invalid session key"
_NOBODY_TO_INVITE: Final = "no candidate tokens"
REASONS: Final[Mapping[str, Reason]] = {
    # An object with this status, while JSON-RPC's own error is null.
    "invalid user name or password": Reason.CREDENTIALS,
    # The account may log in, but not add or invite participants of this survey.
    "no permission": Reason.CREDENTIALS,
    "invalid survey id": Reason.NOT_FOUND,
    "no survey participants table": Reason.NOT_FOUND,
    # The same in versions before 3.
    "no token table": Reason.NOT_FOUND,
    # Only `look` is told so: the row was deleted meanwhile.
    "invalid tokenid": Reason.NOT_FOUND,
}

# After too many failed logins from one address. The number of minutes is a setting of the server.
_LOCKED_OUT: Final = re.compile(r"maximum (?:number of )?login attempts.*?(?:wait (\d{1,4}) minutes|$)")

# What the mail program says of one recipient's address; anything else it says concerns the sender or the server.
_ADDRESS_REFUSED: Final = re.compile(r"invalid address|recipients failed|\b55[0134]\b|\b5\.1\.\d")

_LEFT: Final = re.compile(r"-?\d+ left to send")
_TID: Final = re.compile(r"[1-9][0-9]{0,17}")


# A segment of one or two dots, also percent-encoded, is folded away by everybody on the way.
_PATH: Final = r"(?i)(?!.*/(?:\.|%2e){1,2}(?:[/?]|\Z))/[^\s#]*\Z"


class Connection(StrictSchema):
    origin = Origin(
        (),
        label="Address",
        help="Scheme and host of your LimeSurvey.",
        example="https://survey.example.com",
        required=True,
    )
    path = Text(
        label="Path",
        help="Of RemoteControl on that host; /index.php?r=admin/remotecontrol where addresses are written that way.",
        example=PATH,
        load_default=PATH,
        pattern=_PATH,
        pattern_message="must begin with a slash and hold no #, no spaces and no . or .. alone.",
    )
    # Not a secret: mostly it is “admin”, and with it that word would be masked in every path and answer.
    username = Text(
        label="User name",
        help="Of an account that may create and update participants of the surveys; better not an administrator's.",
        example="survey-plugin",
        required=True,
    )
    password = SecretText(label="Password", help="Of that account.", required=True)
    plugin = Text(
        label="Authentication plugin",
        help="How the account proves itself: Authdb for LimeSurvey's own accounts, AuthLDAP for LDAP.",
        example="Authdb",
        load_default="Authdb",
    )


Invite = StrictSchema.from_dict(
    {
        "survey_id": WholeNumber(
            label="Survey",
            help="The number of the survey; it stands behind index.php/ in the survey's own address.",
            example="282267",
            required=True,
        ),
        "email": Email(required=True),
        "firstname": FreeText(label="First name", example="{{ ticket.requester.first_name }}"),
        "lastname": FreeText(label="Last name", example="{{ ticket.requester.last_name }}"),
        "language": Language(help="A language of the survey; in any other one the invitation is in its base language."),
        "validuntil": Text(
            label="Valid until",
            help="When the person's link ends, by the clock of the server; without it the link does not.",
            example="2026-12-31 23:59:00",
            pattern=r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?: [0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?\Z",
            pattern_message="must be a date and time such as 2026-12-31 23:59:00.",
        ),
        **{
            f"attribute_{number}": FreeText(
                label=f"Attribute {number}",
                help="The survey's participants must have this attribute: LimeSurvey drops others without a word.",
            )
            for number in range(1, ATTRIBUTES + 1)
        },
    },
    name="Invite",
)

_HANDLE: Final = (
    "https://github.com/LimeSurvey/LimeSurvey/blob/master/application/helpers/remotecontrol/remotecontrol_handle.php"
)

VENDOR: Final = Vendor(
    title="LimeSurvey",
    connection=Connection,
    origins=ANY_PUBLIC_HTTPS,
    calls={
        "invite": Call(
            label="Invite a participant",
            help="Adds the person to the survey's participants and has LimeSurvey mail the survey's invitation.",
            parameters=Invite,
            steps=[
                # A login more leaves nothing but one more session, which ends by itself.
                Step("login", label="Log in", repeat_safe=True, source=_HANDLE),
                # The same address may be in the list many times: each repeat adds one more.
                Step("add", label="Add the participant", source=_HANDLE),
                # Only people who are marked as not invited are mailed. But the mark is set after the mail has left,
                # without a lock: while a first call still waits for its mail server, a second one would mail as well.
                # Later, when a person asks for the repeat, it is harmless: see `look`.
                Step("invite", label="Invite that participant", source=_HANDLE),
                Step(
                    "look", label="Look why there was nobody to invite", repeat_safe=True, source=_HANDLE, seldom=True
                ),
                Step("release", label="Log out", repeat_safe=True, source=_HANDLE, follow_up=True),
            ],
        ),
    },
)

#: The columns of a participant that are filled, in the order they are sent in.
_COLUMNS: Final = tuple(name for name in Invite().fields if name != "survey_id")


# --- requests ---------------------------------------------------------------------------------------------------------


def build_request(call: SurveyCall, connection: Settings, step: str, memory: Mapping[str, str]) -> OutboundRequest:
    """One call of RemoteControl. Raises ValueError for an invitation of nobody in particular: that would be everybody.

    memory: `session`, the key of the login; `tid`, the participant's number; `logins`, how many there were.
    """
    if step == "login":
        arguments: Sequence[Any] = (connection["username"], connection["password"], connection["plugin"])
        return _request(connection, step, "get_session_key", arguments)
    session = Secret(memory["session"])
    if step == "release":
        return _request(connection, step, "release_session_key", (session,))
    survey = int(call.parameters["survey_id"])
    if step == "add":
        rows = [dict(filled(call, _COLUMNS))]
        return _request(connection, step, "add_participants", (session, survey, rows, True))
    tid = _remembered_tid(memory)
    if step == "look":
        columns = ["sent", "emailstatus", "completed"]
        return _request(connection, step, "get_participant_properties", (session, survey, tid, columns))
    # The last argument: only who was not invited yet. Without a list of ids, everybody of them would be mailed.
    return _request(connection, step, "invite_participants", (session, survey, [tid], True))


def _remembered_tid(memory: Mapping[str, str]) -> int:
    tid = memory.get("tid", "")
    if not _TID.fullmatch(tid):
        raise ValueError("an invitation without a participant's number would go to everybody")
    return int(tid)


def _request(connection: Settings, step: str, method: str, arguments: Sequence[Any]) -> OutboundRequest:
    path, _, query = connection["path"].partition("?")
    return OutboundRequest(
        "POST",
        connection["origin"],
        tuple(unquote(segment) for segment in path.split("/")[1:]),
        query=tuple(parse_qsl(query, keep_blank_values=True)),
        # JSON-RPC 1.0. What comes back under another id is not the answer to this.
        json={"method": method, "params": list(arguments), "id": step},
    )


# --- answers ----------------------------------------------------------------------------------------------------------


def read_response(call: SurveyCall, response: OutboundResponse, step: str, memory: Mapping[str, str]) -> Outcome:
    """What LimeSurvey says: the result itself, or an object whose `status` tells why there is none."""
    del call
    if step == "release":
        # Nobody needs to know how it went: a session that stays open ends by itself, and tells nothing of the person.
        return Accepted()
    envelope = read_object(response)
    if not 200 <= response.status < 300 or envelope.get("id") != step or envelope.get("error") is not None:
        return outcome_for_status(response, words=_words(response, envelope, step))
    result = envelope.get("result")
    status = result.get("status") if isinstance(result, Mapping) else None
    known = _read_status(status, step, memory) if isinstance(status, str) else None
    return known or _READERS[step](result, memory) or Uncertain(Reason.UNRECOGNISED, _words(response, envelope, step))


def _words(response: OutboundResponse, envelope: Mapping[str, Any], step: str) -> str:
    """What may be quoted of an answer that was not understood: not the key of a session, nor a participant's token."""
    result = envelope.get("result")
    said = [envelope.get("error"), result.get("status") if isinstance(result, Mapping) else None]
    texts = [text for text in said if isinstance(text, str)]
    if texts:
        return clean_words(texts[0])
    if step not in {"login", "add"}:
        return words_of(response)
    return "" if "result" in envelope else clean_words(response.text.partition('"result"')[0])


def _read_status(status: str, step: str, memory: Mapping[str, str]) -> Outcome | None:
    """What a status text means; None for one that is not known."""
    words = clean_words(status)
    folded = " ".join(status.casefold().split()).removeprefix("error: ").rstrip(".")
    if folded == _SESSION_OVER and step in {"add", "invite", "look"}:
        return _log_in_again(memory, words)
    if folded == _NOBODY_TO_INVITE and step == "invite":
        # Our own mail of an earlier try, or an address that cannot be mailed.
        return NextRequest("look", dict(memory), words=words)
    if folded in REASONS:
        return Rejected(REASONS[folded], words)
    locked = _LOCKED_OUT.search(folded)
    if locked:
        return RetryLater(Reason.RATE_LIMITED, words, float(locked[1]) * 60 if locked[1] else None)
    return None


def _log_in_again(memory: Mapping[str, str], words: str) -> Outcome:
    """The session has ended: nothing was done, and after another login the work goes on where it was."""
    if int(memory.get("logins", "1")) >= LOGINS:
        return Rejected(Reason.CREDENTIALS, words)
    kept = {name: memory[name] for name in ("tid", "logins") if name in memory}
    return NextRequest("login", kept, words=words)


def _read_login(result: Any, memory: Mapping[str, str]) -> Outcome | None:
    if not isinstance(result, str) or not result.strip():
        return None
    logins = int(memory.get("logins", "0")) + 1
    known = {"session": result, "logins": str(logins)}
    if "tid" in memory:
        return NextRequest("invite", known | {"tid": memory["tid"]})
    return NextRequest("add", known)


def _read_added(result: Any, memory: Mapping[str, str]) -> Outcome | None:
    """The one row that was sent, as it was stored; or with `errors` where it was not."""
    if not isinstance(result, list) or len(result) != 1 or not isinstance(result[0], Mapping):
        return None
    row = result[0]
    errors = row.get("errors")
    if errors:
        about_address = isinstance(errors, Mapping) and "email" in errors
        return Rejected(Reason.INVALID_ADDRESS if about_address else Reason.REFUSED, clean_words(_sentences(errors)))
    tid = str(row.get("tid"))
    return NextRequest("invite", {**memory, "tid": tid}) if _TID.fullmatch(tid) else None


def _sentences(errors: Any) -> str:
    """The texts of a row's `errors`: lists of them by column."""
    if isinstance(errors, Mapping):
        return " ".join(_sentences(value) for value in errors.values())
    return " ".join(_sentences(value) for value in errors) if isinstance(errors, list) else str(errors)


def _read_invited(result: Any, memory: Mapping[str, str]) -> Outcome | None:
    """What became of our one participant, under its number. The status beside it counts all who still wait."""
    status = result.get("status") if isinstance(result, Mapping) else None
    row = result.get(memory.get("tid", "")) if isinstance(result, Mapping) else None
    if not isinstance(row, Mapping) or not isinstance(status, str) or not _LEFT.fullmatch(status.casefold().strip()):
        return None
    match str(row.get("status")).casefold():
        case "ok":
            return _accepted(memory, clean_words(status))
        case "fail":
            return _read_failed(str(row.get("error") or ""), memory)
    return None


def _read_failed(error: str, memory: Mapping[str, str]) -> Outcome:
    """The person was not mailed, and is not marked as invited."""
    folded, words = error.casefold(), clean_words(error)
    if folded.startswith("token not valid"):
        # "yet" or "anymore": outside of the person's own time.
        return Rejected(Reason.REFUSED, words)
    if _ADDRESS_REFUSED.search(folded):
        return Rejected(Reason.INVALID_ADDRESS, words)
    # The session is a good one: when it ends while the mail server is away, that is nobody's fault.
    return RetryLater(Reason.VENDOR_UNAVAILABLE, words, memory={**memory, "logins": "1"})


def _read_looked(result: Any, memory: Mapping[str, str]) -> Outcome | None:
    """Why there was nobody to invite: the mail has left before, or this person cannot be mailed."""
    columns = ("sent", "emailstatus", "completed")
    if not isinstance(result, Mapping) or not all(isinstance(result.get(name), str) for name in columns):
        return None
    sent, mail, completed = (str(result[name]).strip() for name in columns)
    if sent.casefold() not in {"", "n"}:
        return _accepted(memory, clean_words(f"sent: {sent}"))
    if mail.casefold() == "optout":
        return Rejected(Reason.OPTED_OUT, clean_words(f"emailstatus: {mail}"))
    if completed.casefold() not in {"", "n"}:
        return Rejected(Reason.REFUSED, clean_words(f"completed: {completed}"))
    # What is left of the conditions is the form of the address, which is checked once more before mailing.
    return Rejected(Reason.INVALID_ADDRESS, clean_words(f"not sent, emailstatus: {mail}"))


def _accepted(memory: Mapping[str, str], words: str) -> Outcome:
    release = NextRequest("release", {"session": memory["session"]})
    return Accepted(vendor_reference=memory["tid"], words=words, follow_up=release)


_READERS: Final = {
    "login": _read_login,
    "add": _read_added,
    "invite": _read_invited,
    "look": _read_looked,
}


# --- pasted URLs ------------------------------------------------------------------------------------------------------


def recognise_url(url: PastedUrl) -> Recognised | None:
    """The address of RemoteControl, as a path or as ?r=. It holds neither an account nor a survey."""
    segments = [segment for segment in url.segments if segment]
    route = dict(url.query).get("r", "").strip("/").casefold()
    if route == "admin/remotecontrol":
        path = f"/{'/'.join(segments) or 'index.php'}?r=admin/remotecontrol"
    elif [segment.casefold() for segment in segments[-2:]] == ["admin", "remotecontrol"]:
        path = f"/{'/'.join(segments)}"
    else:
        return None
    return Recognised(
        "invite",
        {"origin": url.origin, "path": path},
        {"email": "{{ person.email }}"},
        ["The address holds neither an account nor a survey: add username and password, and survey_id to the rule."],
    )
