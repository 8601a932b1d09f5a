"""What a vendor's answer means, as values. A connector reads an answer into one of these and decides nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from plugin.domain.event import EventKind


class Reason(StrEnum):
    """Why an outcome is what it is: the closed list. Each has a sentence for people in `REASON_SENTENCES`."""

    # accepted
    DONE = "done"
    OPENED = "opened"
    # one step of several is done
    NEXT_STEP = "next_step"
    # rejected, because of this person or this call
    UNKNOWN_RESPONDENT = "unknown_respondent"
    OPTED_OUT = "opted_out"
    INVALID_ADDRESS = "invalid_address"
    INVALID_CALL = "invalid_call"
    NOT_FOUND = "not_found"
    REDIRECTED = "redirected"
    REFUSED = "refused"
    # rejected, because of the connection: it pauses
    CREDENTIALS = "credentials"
    QUOTA = "quota"
    FORBIDDEN_ADDRESS = "forbidden_address"
    # again later
    RATE_LIMITED = "rate_limited"
    TOO_SOON = "too_soon"
    VENDOR_UNAVAILABLE = "vendor_unavailable"
    NOT_REACHED = "not_reached"
    # uncertain
    UNRECOGNISED = "unrecognised"
    VENDOR_ERROR = "vendor_error"
    NO_ANSWER = "no_answer"
    LEASE_LOST = "lease_lost"
    RESTORED = "restored"
    # decided here
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    GIVEN_BACK = "given_back"
    RESOLVED_SENT = "resolved_sent"
    RESOLVED_NOT_SENT = "resolved_not_sent"


REASON_SENTENCES: Mapping[Reason, str] = {
    Reason.DONE: "The vendor confirmed the call.",
    Reason.OPENED: "The survey link was opened with its data; this address confirms nothing more.",
    Reason.NEXT_STEP: "The call takes several steps; this one has been answered, and the next one follows.",
    Reason.UNKNOWN_RESPONDENT: "The vendor does not know this respondent.",
    Reason.OPTED_OUT: "This person has unsubscribed from invitations.",
    Reason.INVALID_ADDRESS: "The vendor does not accept this e-mail address or phone number.",
    Reason.INVALID_CALL: "The vendor says that the request is wrong.",
    Reason.NOT_FOUND: "The vendor does not know what was asked for; check the survey, collector and template ids.",
    Reason.REDIRECTED: "The vendor answered with a redirect, which is never followed; check the connection's origin.",
    Reason.REFUSED: "The vendor refused the call without a reason that we know.",
    Reason.CREDENTIALS: "The vendor refused the credentials; the connection is paused until they are mended.",
    Reason.QUOTA: "The vendor's quota for this account is used up; the connection is paused.",
    Reason.FORBIDDEN_ADDRESS: "The connection points to an address that must not be called.",
    Reason.RATE_LIMITED: "The vendor asks to slow down; the call is made again later.",
    Reason.TOO_SOON: "The vendor takes an identical call only after a while; the call is made again later.",
    Reason.VENDOR_UNAVAILABLE: "The vendor is away for the moment; the call is made again later.",
    Reason.NOT_REACHED: "The vendor could not be reached and nothing was sent; the call is made again later.",
    Reason.UNRECOGNISED: "The vendor's answer is not one we know, so it is not taken as success.",
    Reason.VENDOR_ERROR: "The vendor failed while it worked on the call; the invitation may or may not be on its way.",
    Reason.NO_ANSWER: "The call was sent but no answer came back; the invitation may or may not be on its way.",
    Reason.LEASE_LOST: "The worker stopped while the call may have been on its way.",
    Reason.RESTORED: "The database was put back from a backup; the call may have been made after that backup.",
    Reason.EXPIRED: "It could not be sent while it was still fresh.",
    Reason.CANCELLED: "It was cancelled.",
    Reason.GIVEN_BACK: "It was handed back before anything was sent.",
    Reason.RESOLVED_SENT: "A person decided that the invitation was sent.",
    Reason.RESOLVED_NOT_SENT: "A person decided that nothing was sent; the call is made again.",
}

#: Reasons of what a vendor's answer ended well; a person may end a delivery well too.
CONFIRMED = frozenset({Reason.DONE, Reason.OPENED})

#: Reasons that concern the whole connection, not one person: it pauses and shows the vendor's words.
PAUSING_REASONS = frozenset({Reason.CREDENTIALS, Reason.QUOTA, Reason.FORBIDDEN_ADDRESS})


@dataclass(frozen=True)
class Learnt:
    """A fact that a call brought, an event of its own that rules can act on. values: placeholders by flat name."""

    kind: EventKind
    values: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Accepted:
    """The vendor took the call. Ends the delivery.

    vendor_reference: the vendor's own id for it, if the answer holds one.
    follow_up: a step to be made later, which only adds reports. learnt: what the answer told besides.
    """

    vendor_reference: str | None = None
    reason: Reason = Reason.DONE
    words: str = ""
    follow_up: NextRequest | None = None
    learnt: Learnt | None = None


@dataclass(frozen=True)
class RetryLater:
    """Certainly nothing was done; the same call may be made again. after: seconds that the vendor asked for.

    memory: what the step is to remember from now on; None to leave it as it is.
    """

    reason: Reason
    words: str = ""
    after: float | None = None
    memory: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Rejected:
    """Certainly nothing was done, and the same call would fare no better."""

    reason: Reason
    words: str = ""


@dataclass(frozen=True)
class Uncertain:
    """It may or may not have been done. Held for a person, unless the step is repeat-safe."""

    reason: Reason
    words: str = ""


@dataclass(frozen=True)
class NextRequest:
    """The step is done and another call is needed: its own claim and attempt.

    step: name of the next step of the call. memory: what that step needs to know, kept encrypted.
    after: seconds to wait before it.
    """

    step: str
    memory: Mapping[str, str] = field(default_factory=dict, repr=False)
    after: float = 0.0
    words: str = ""


Outcome = Accepted | RetryLater | Rejected | Uncertain | NextRequest
