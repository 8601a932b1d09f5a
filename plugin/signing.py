"""Config links: what their token holds, signed so that it can neither be guessed nor changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from itsdangerous import BadData, URLSafeSerializer

from plugin.redaction import Secret

_SALT: Final = "survey-plugin config link"
#: The size of any token this program makes, and a good deal more; longer ones are not even looked at.
_LONGEST_TOKEN: Final = 200


@dataclass(frozen=True)
class LinkSigner:
    """Makes and reads the token of a config link. It holds only the link's id: expiry and revocation are in its row.

    keys: newest first; the newest signs, each may verify.
    """

    keys: Sequence[Secret]

    def token(self, link_id: str) -> Secret:
        return Secret(str(self._serializer().dumps(link_id)))

    def link_id(self, token: str) -> str | None:
        """The id of the link whose token this is; None for anything that was not signed here."""
        if len(token) > _LONGEST_TOKEN or not token.isascii():
            return None
        try:
            link_id = self._serializer().loads(token)
        except BadData:
            return None
        return link_id if isinstance(link_id, str) else None

    def _serializer(self) -> URLSafeSerializer:
        # itsdangerous signs with the last key of its list; ours are newest first.
        return URLSafeSerializer([key.reveal() for key in reversed(self.keys)], salt=_SALT)
