from __future__ import annotations

from tests.triggers.sender import Sender

SENDER = Sender({"url_only": "true"}, "chat_finished", lambda request, _now: request, covers_body=False, url_only=True)
