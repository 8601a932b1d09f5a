from __future__ import annotations

from tests.triggers.sender import Sender

SENDER = Sender({"url_only": "true"}, "", lambda request, _now: request, covers_body=False)
