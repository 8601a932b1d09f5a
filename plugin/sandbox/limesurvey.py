"""LimeSurvey's RemoteControl, pretended: it knows sessions and participants, and mails each participant once.

Where its texts come from: plugin/surveys/limesurvey.py.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from plugin.sandbox.base import TROUBLES, SandboxAnswer, SandboxRequest, Trick, local_part

#: How many sessions, and how many participants, are remembered: the newest.
REMEMBERED: Final = 1000

HINT: Final = (
    "Before the @ of the e-mail address; a word that begins with “add-” is heard when the person is added, the others "
    "when the person is invited. The password “wrong” is refused, “locked” is told to wait, and “forgetful” gets "
    "sessions that end at once. Survey 403 may not be touched, 404 does not exist, and 410 has no participants."
)

_MAILED_AT: Final = "2026-11-03 12:00"


def _reply(step: Any, result: Any, error: Any = None) -> SandboxAnswer:
    body = json.dumps({"id": step, "result": result, "error": error}, ensure_ascii=False)
    return SandboxAnswer(body=body, content_type="text/javascript")


def _status(text: str) -> dict[str, str]:
    return {"status": text}


_NOBODY: Final = _status("Error: No candidate tokens")
_OVER: Final = _status("Invalid session key")
_LOCKED: Final = _status(
    "You have exceeded the number of maximum login attempts. Please wait 10 minutes before trying again."
)
#: What may not be done, by survey.
_SURVEYS: Final = {
    403: _status("No permission"),
    404: _status("Error: Invalid survey ID"),
    410: _status("No survey participants table"),
}
_BAD_ROW: Final = [{"errors": {"email": ["Email is not a valid email address."]}}]


def _fail(error: str) -> dict[str, Any]:
    return {"1": _row("ada@example.com", error), **_status("1 left to send")}


def _row(email: str, error: str = "") -> dict[str, str]:
    return {"name": " ", "email": email, **({"status": "fail", "error": error} if error else {"status": "OK"})}


def _trick(step: str, result: Any, meaning: str) -> Trick:
    return Trick(_reply(step, result), meaning)


#: What the mail program is made to say, by magic word.
_MAIL_ERRORS: Final[Mapping[str, str]] = {
    "mail-down": "SMTP connect() failed.",
    "bounced": "SMTP Error: The following recipients failed: 550 5.1.1 user unknown",
    "too-early": "Token not valid yet",
    "too-late": "Token not valid anymore",
}

TRICKS: Final[Mapping[str, Trick]] = {
    "add-refused": _trick("add", _BAD_ROW, "the row's address is not accepted"),
    "add-unknown": _trick("add", _status("Something else"), "a status that nobody has seen, when adding"),
    "add-warning": Trick(
        SandboxAnswer(body=f"<b>Warning</b>: mkdir(): denied{_reply('add', [{'tid': '7'}]).body}"),
        "the row was added, but the answer begins with a warning of PHP",
    ),
    **{f"add-{name}": Trick(trick.answer, f"when adding: {trick.meaning}") for name, trick in TROUBLES.items()},
    "expired": _trick("invite", _OVER, "the session has ended before the invitation, once"),
    "forgotten": _trick("invite", _OVER, "every session has ended before the invitation"),
    "opted-out": _trick("invite", _NOBODY, "nobody to invite: the participant has opted out"),
    "unmailable": _trick("invite", _NOBODY, "nobody to invite: the address cannot be mailed"),
    "answered": _trick("invite", _NOBODY, "nobody to invite: the participant has answered already"),
    "invited": _trick("invite", _NOBODY, "nobody to invite: the participant was mailed before"),
    **{word: _trick("invite", _fail(error), f"not mailed: {error}") for word, error in _MAIL_ERRORS.items()},
    "unknown": _trick("invite", _status("Something else"), "a status that nobody has seen"),
    "exception": Trick(_reply("invite", None, "CDbCommand failed"), "an error of JSON-RPC"),
    **{
        name: Trick(trick.answer, trick.meaning if name == "down" else f"mailed, but {trick.meaning}")
        for name, trick in TROUBLES.items()
    },
}

#: What is then found in the participant's row.
_NOTED: Final[Mapping[str, tuple[str, str]]] = {
    "opted-out": ("emailstatus", "OptOut"),
    "invited": ("sent", _MAILED_AT),
    "answered": ("completed", _MAILED_AT),
}

#: After these words the mail has left all the same; only the answer is lost.
_MAILED_ALL_THE_SAME: Final = TROUBLES.keys() - {"down"}


@dataclass
class _Participant:
    survey: Any
    email: str
    sent: str = "N"
    emailstatus: str = "OK"
    completed: str = "N"


class _Installation:
    """What LimeSurvey keeps: sessions and participants, the newest of them. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._sessions: OrderedDict[str, bool] = OrderedDict()
        self._participants: OrderedDict[int, _Participant] = OrderedDict()
        self._expired_once: OrderedDict[int, bool] = OrderedDict()

    def call(self, method: str, arguments: Sequence[Any], step: Any) -> SandboxAnswer:
        """What the method answers. Raises LookupError, TypeError or ValueError for arguments it does not take."""
        with self._lock:
            if method == "get_session_key":
                return _reply(step, self._log_in(*arguments))
            key, *rest = arguments
            if method == "release_session_key":
                self._sessions.pop(str(key), None)
                return _reply(step, "OK")
            problem = _OVER if str(key) not in self._sessions else _SURVEYS.get(rest[0])
            if problem is not None:
                return _reply(step, problem)
            if method == "add_participants":
                return self._add(step, *rest)
            if method == "invite_participants":
                return self._invite(step, str(key), *rest)
            return _reply(step, self._properties(*rest))

    def _log_in(self, user: str, password: str, plugin: str) -> Any:
        if password == "locked":  # noqa: S105  # a magic word, no password
            return _LOCKED
        if not user or not plugin or password == "wrong":  # noqa: S105
            return _status("Invalid user name or password")
        key = f"session{next(self._numbers):025d}"
        if password != "forgetful":  # noqa: S105
            _remember(self._sessions, key, True)
        return key

    def _add(self, step: Any, survey: int, rows: Sequence[Mapping[str, str]], create_token: bool) -> SandboxAnswer:
        stored = []
        for row in rows:
            trick = TRICKS.get(local_part(row["email"]))
            if trick is not None and local_part(row["email"]).startswith("add-"):
                return trick.answer
            tid = next(self._numbers)
            _remember(self._participants, tid, _Participant(survey, row["email"]))
            token = {"token": f"token{tid:010d}"} if create_token else {}
            stored.append({**row, "tid": str(tid), **token, "sent": "N", "emailstatus": "OK", "completed": "N"})
        return _reply(step, stored)

    def _invite(self, step: Any, key: str, survey: int, tids: Sequence[int], only_pending: bool) -> SandboxAnswer:
        # The real one mails everybody when the list is empty. Here that is a call which nobody is to make.
        [tid] = tids
        person = self._participants.get(tid)
        if person is None or person.survey != survey or not only_pending or person.sent != "N":
            return _reply(step, _NOBODY)
        word = local_part(person.email)
        trick = TRICKS.get(word)
        if word == "expired" and tid not in self._expired_once:
            _remember(self._expired_once, tid, True)
            self._sessions.pop(key)
            return _reply(step, _OVER)
        if word in _NOTED:
            column, value = _NOTED[word]
            setattr(person, column, value)
        if word in _MAIL_ERRORS:
            return _reply(step, {str(tid): _row(person.email, _MAIL_ERRORS[word]), **_status("1 left to send")})
        if trick is None or word in _MAILED_ALL_THE_SAME or word == "expired":
            person.sent = _MAILED_AT
        if trick is not None and word != "expired":
            return trick.answer
        return _reply(step, {str(tid): _row(person.email), **_status("0 left to send")})

    def _properties(self, survey: int, tid: int, columns: Sequence[str]) -> Any:
        person = self._participants.get(tid)
        if person is None or person.survey != survey:
            return _status("Error: Invalid tokenid")
        return {column: getattr(person, column) for column in columns}


def _remember(kept: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    kept[key] = value
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)


_INSTALLATION: Final = _Installation()
_METHODS: Final = {
    "get_session_key", "release_session_key", "add_participants", "invite_participants", "get_participant_properties",
}  # fmt: skip


def answer(request: SandboxRequest) -> SandboxAnswer | None:
    route = [segment for segment in request.query.get("r", "").split("/") if segment]
    if "remotecontrol" not in {*request.segments[-1:], *route[-1:]}:
        return None
    call = request.json if isinstance(request.json, dict) else {}
    if request.method != "POST" or call.get("method") not in _METHODS:
        # What is no call of RemoteControl is answered with nothing at all.
        return SandboxAnswer()
    try:
        return _INSTALLATION.call(call["method"], call["params"], call.get("id"))
    except (LookupError, TypeError, ValueError):
        return _reply(call.get("id"), None, "unknown method or incorrect parameters")
