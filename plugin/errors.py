"""One exception tree. Each class says what happened and who can act; its text is written for that person.

No message may hold a secret or an e-mail address: messages reach logs and pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class SurveyPluginError(Exception):
    """Anything this program raises on purpose."""


# --- set-up: the operator can act -----------------------------------------------------------------------------------


class ConfigInvalid(SurveyPluginError):
    """The environment does not describe a working installation. `problems` holds one sentence per fault."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class VaultError(SurveyPluginError):
    """A stored secret cannot be read with the keys in DATA_KEYS."""


class StoreUnavailable(SurveyPluginError):
    """The database did not take the work in time. Nothing was stored; the same request may be sent again."""


class StoreConflict(StoreUnavailable):
    """Another writer was first. Nothing was stored; what was read meanwhile is outdated."""


class StoreBroken(SurveyPluginError):
    """The database exists but cannot be used: not ours, damaged, or of a newer version."""


# --- a tenant's configuration: its admin can act --------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """One fault in something a person wrote.

    place: where it stands, as a path a person can follow (`rules[0].parameters.email`); empty for the whole.
    message: what is wrong and how to mend it, one sentence without the place.
    """

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class TenantFileInvalid(SurveyPluginError):
    """A tenant's configuration cannot be accepted. Nothing was changed."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)


class TemplateInvalid(SurveyPluginError):
    """A template of a mapping cannot be accepted. The message follows its place: `is longer than 4,000 characters.`"""


class UrlNotRecognised(SurveyPluginError):
    """A pasted URL is no call of a survey vendor that is known here."""


class NotFound(SurveyPluginError):
    """A tenant, source, connection, delivery or receipt of that name does not exist."""


class SourceGone(NotFound):
    """The source that a trigger came by was removed, alone or with its tenant, while the trigger was taken."""


class NotAllowed(SurveyPluginError):
    """What was asked does not fit the present state; the message says why and what would."""


# --- an incoming trigger: the sender's admin can act -----------------------------------------------------------------


class TriggerRefused(SurveyPluginError):
    """An incoming request is not taken."""


class TooMany(TriggerRefused):
    """The source has sent more than it may in a minute. Nothing was stored; the same request may be sent again."""


class SignatureInvalid(TriggerRefused):
    """The request does not prove that it comes from the source. The sender is told no more than that."""


class Unreadable(TriggerRefused):
    """An authenticated body that cannot be read. The message names the position and what was expected there."""


# --- an outgoing call: pipeline/deliver turns these into outcomes ----------------------------------------------------


class CannotBeSent(SurveyPluginError):
    """A survey call does not fit its connection as that is now. Nothing was sent; the tenant's admin can act."""


class OutboundFailed(SurveyPluginError):
    """A call to a vendor brought no answer.

    kind: `dns`, `refused`, `forbidden` (address or origin not allowed), `tls`, `timeout`, `reset`, `protocol` (the
        answer is not HTTP or, when nothing was sent, the request cannot be written as HTTP) or `proxy`.
    sent: whether a first byte of the request may have left this machine. False means: certainly nothing was sent.
    bytes_sent: how many have left at most.
    """

    def __init__(self, kind: str, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.kind = kind
        self.sent = sent
        self.bytes_sent = 0


def flatten_problems(place: str, messages: object) -> list[Problem]:
    """Turn marshmallow's nested messages into problems with dotted places: `rules[0].parameters.email`."""
    if isinstance(messages, Mapping):
        problems: list[Problem] = []
        for key, value in messages.items():
            if key == "_schema":
                inner = place
            elif isinstance(key, int):
                inner = f"{place}[{key}]"
            else:
                inner = f"{place}.{key}" if place else str(key)
            problems += flatten_problems(inner, value)
        return problems
    if isinstance(messages, Sequence) and not isinstance(messages, str):
        return [problem for item in messages for problem in flatten_problems(place, item)]
    return [Problem(place, str(messages))]
