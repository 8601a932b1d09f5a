"""JSON that is not quite JSON: a slip whose meaning is certain is put right, and told; any other is refused as ever."""

from __future__ import annotations

import re
from typing import Any, Final

from plugin.errors import Unreadable
from plugin.triggers.base.json_body import read_json

# A text that was never closed. It is one word, and behind it come, perhaps after closing brackets, either a comma and
# the next name or the end of the message: then its end can only have stood right behind the word. Nothing of this kind
# can stand in sound JSON. Possessive throughout, so that the time stays linear.
_PIECE: Final = re.compile(
    r'(?P<unclosed>"[^\s"\\,{}\[\]]++(?=[\s}\]]*+(?:,\s*+"[\w.-]++"\s*+:|\Z)))'
    r'|"(?:[^"\\]|\\.)*+"?'
    r"|(?P<opening>[{\[])|(?P<closing>[}\]])"
    r'|[^"{}\[\]]++',
    re.DOTALL,
)


def read_mended_json(body: bytes) -> tuple[Any, tuple[str, ...]]:
    """The document in `body`, and a sentence for the receipt on each kind of slip that was put right in it.

    Two kinds are: closing quotation marks that are missing behind a single word, and one closing bracket too many at
    the very end. Raises Unreadable, about the message as it came, for everything that `read_json` refuses besides.
    """
    try:
        return read_json(body), ()
    except Unreadable as refusal:
        mended, notes = _mend(body)
        if not notes:
            raise
        try:
            return read_json(mended), notes
        except Unreadable:
            raise refusal from None


def _mend(body: bytes) -> tuple[bytes, tuple[str, ...]]:
    try:
        text = body.decode().rstrip()
    except UnicodeDecodeError:
        return body, ()
    pieces, unclosed, depth, surplus = [], 0, 0, False
    for piece in _PIECE.finditer(text):
        depth += (piece["opening"] is not None) - (piece["closing"] is not None)
        if depth < 0 and piece.end() == len(text):
            surplus = True
            break
        pieces.append(piece[0])
        if piece["unclosed"]:
            pieces.append('"')
            unclosed += 1
    notes = []
    if unclosed:
        notes.append(f"The message was not quite JSON: missing closing quotation marks were added ({unclosed}).")
    if surplus:
        notes.append("The message was not quite JSON: one closing bracket too many at its end was left out.")
    return "".join(pieces).encode(), tuple(notes)
