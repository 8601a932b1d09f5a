"""Reading an answer by a connection's own table: the first row whose conditions all hold says what it means."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from plugin.domain.outcome import Accepted, Outcome, Reason, Rejected, RetryLater, Uncertain
from plugin.domain.survey_call import OutboundResponse
from plugin.surveys.base.answers import clean_words, outcome_for_status, read_object, retry_after, words_of

#: One row of the table, as its schema loads it.
Row = Mapping[str, Any]

#: What a row can say, with the reasons that go with it; the first one is meant when it names none.
MEANINGS: Final[Mapping[str, Sequence[Reason]]] = {
    "accepted": (Reason.DONE, Reason.OPENED),
    "rejected": (
        Reason.REFUSED,
        Reason.UNKNOWN_RESPONDENT,
        Reason.OPTED_OUT,
        Reason.INVALID_ADDRESS,
        Reason.INVALID_CALL,
        Reason.NOT_FOUND,
        Reason.CREDENTIALS,
        Reason.QUOTA,
    ),
    "retry": (Reason.VENDOR_UNAVAILABLE, Reason.RATE_LIMITED, Reason.TOO_SOON),
    "uncertain": (Reason.UNRECOGNISED, Reason.VENDOR_ERROR),
}

#: How an answer's own id of the call is cut, characters.
_REFERENCE_LIMIT: Final = 200

_MISSING: Final = object()


def read_answer(rows: Sequence[Row], response: OutboundResponse) -> Outcome:
    """What an answer means by the table; by its HTTP status where no row fits."""
    document = _document(response)
    for row in rows:
        if _fits_status(row, response.status) and all(_holds(look, response, document) for look in row["look"]):
            return _outcome(row, response, document)
    return outcome_for_status(response)


def _document(response: OutboundResponse) -> Any:
    """The body as JSON, whatever it is; _MISSING when it is something else."""
    readable = read_object(response)
    if readable:
        return readable
    try:
        return json.loads(response.text)
    except (ValueError, RecursionError):
        return _MISSING


def _fits_status(row: Row, status: int) -> bool:
    # A success without a word about the status is a 2xx: a table is easily written without thinking of the others.
    wanted = row.get("status") or ("2xx" if row["means"] == "accepted" else "")
    if not wanted:
        return True
    return any(_is_status(one, status) for one in re.split(r"[\s,]+", wanted))


def _is_status(wanted: str, status: int) -> bool:
    return status // 100 == int(wanted[0]) if wanted.endswith("xx") else status == int(wanted)


def _holds(look: Mapping[str, Any], response: OutboundResponse, document: Any) -> bool:
    found = _found(look, response, document)
    if "present" in look:
        return look["present"] is (found is not None)
    if found is None:
        return False
    text = _folded(found)
    return text == _folded(look["is"]) if "is" in look else _folded(look["contains"]) in text


def _found(look: Mapping[str, Any], response: OutboundResponse, document: Any) -> str | None:
    """The text that a condition looks at; None when the answer has none there."""
    if "header" in look:
        return response.headers.get(look["header"].lower())
    if "at" in look:
        return text_at(document, look["at"])
    return response.text or None


def text_at(document: Any, path: str) -> str | None:
    """What stands at a dotted path, numbers and truth values as JSON writes them; None for nothing, null and groups.

    A number in the path counts the entries of a list from 0.
    """
    for name in path.split("."):
        if isinstance(document, Mapping):
            document = document.get(name, _MISSING)
        elif isinstance(document, list) and name.isdecimal() and int(name) < len(document):
            document = document[int(name)]
        else:
            return None
    if isinstance(document, str):
        return document
    return json.dumps(document) if isinstance(document, bool | int | float) else None


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _outcome(row: Row, response: OutboundResponse, document: Any) -> Outcome:
    said = text_at(document, row["words"]) if "words" in row else None
    words = clean_words(said) if said is not None else words_of(response)
    reason = Reason(row.get("reason") or MEANINGS[row["means"]][0])
    if row["means"] == "accepted":
        reference = text_at(document, row["reference"]) if "reference" in row else None
        return Accepted(clean_words(reference)[:_REFERENCE_LIMIT] if reference else None, reason, words)
    if row["means"] == "retry":
        after = row.get("after")
        return RetryLater(reason, words, float(after) if after is not None else retry_after(response))
    means: Callable[[Reason, str], Outcome] = Rejected if row["means"] == "rejected" else Uncertain
    return means(reason, words)


def problems_of(rows: Sequence[Row]) -> Iterator[tuple[int, str]]:
    """Position and text of what is wrong with a table although each of its values is sound."""
    for position, row in enumerate(rows):
        yield from ((position, message) for message in _row_problems(row))


def _row_problems(row: Row) -> Iterator[str]:
    accepts, look = row["means"] == "accepted", row["look"]
    reasons = MEANINGS[row["means"]]
    if row.get("reason") and row["reason"] not in reasons:
        yield f"`{row['means']}` goes with one of these reasons: {', '.join(reasons)}."
    if "after" in row and row["means"] != "retry":
        yield "`after` is for `retry` only."
    if "reference" in row and not accepts:
        yield "`reference` is for `accepted` only."
    if accepts and not (row["status_is_enough"] or any(map(_finds_something, look))):
        yield (
            "would take any such answer as success, also a page of somebody else's; look for something in it, or set "
            "status_is_enough where this vendor answers without a body."
        )
    if not (accepts or look or "status" in row):
        yield "names neither a status nor anything to look at, so it would fit every answer."
    for one in look:
        yield from _look_problems(one)


def _finds_something(look: Mapping[str, Any]) -> bool:
    """Whether it holds only for an answer with something of its own in it; that there is a body says little."""
    return "is" in look or "contains" in look or (look.get("present", False) and ("at" in look or "header" in look))


def _look_problems(look: Mapping[str, Any]) -> Iterator[str]:
    if sum(name in look for name in ("is", "contains", "present")) != 1:
        yield "each entry of `look` needs exactly one of is, contains and present."
    if "" in (look.get("is"), look.get("contains")):
        yield "an entry of `look` compares with nothing."
    if "at" in look and "header" in look:
        yield "an entry of `look` is about `at` or about a `header`, not both."
