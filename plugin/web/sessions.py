"""Who is visiting. A session is a row that came of a config link; the cookie holds nothing but its id, signed."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from flask import g, session
from sqlalchemy import Connection

from plugin.errors import NotFound
from plugin.store import links, tenants
from plugin.store.links import Link, Session
from plugin.store.tenants import Tenant
from plugin.web.desk import desk

#: How long a session lasts at most; it never outlives its link.
SESSION_LENGTH: Final = timedelta(hours=12)

ADMIN: Final = "admin"
VIEWER: Final = "viewer"

_COOKIE_KEY: Final = "id"
_ID_BYTES: Final = 32


@dataclass(frozen=True)
class Visit:
    """Somebody with a session. A viewer sees everything, with e-mail addresses masked, and changes nothing."""

    tenant: Tenant
    role: str
    expires_at: datetime

    @property
    def may_change(self) -> bool:
        return self.role == ADMIN


def begin_session(db: Connection, link: Link) -> None:
    """Begin a session that came of `link`, in the caller's transaction. The browser's former one ends."""
    now = desk().mint.now()
    end_session(db)
    session_id = urlsafe_b64encode(desk().mint.entropy(_ID_BYTES)).decode("ascii")
    row = Session(link.tenant_id, link.id, link.role, min(now + SESSION_LENGTH, link.expires_at))
    links.add_session(db, link.tenant_id, _id_hash(session_id), row, now)
    session.permanent = True
    session[_COOKIE_KEY] = session_id


def end_session(db: Connection) -> None:
    """End the browser's session, in the caller's transaction, and forget all that its cookie held."""
    session_id = session.get(_COOKIE_KEY)
    if session_id is not None:
        links.end_session(db, _id_hash(session_id))
    session.clear()


def find_visit() -> Visit | None:
    """Whose session this request carries; None when it has none that is still good."""
    session_id = session.get(_COOKIE_KEY)
    if session_id is None:
        return None
    with desk().database.read() as db:
        found = links.find_session(db, _id_hash(session_id), desk().mint.now())
        if found is None:
            return None
        try:
            tenant = tenants.tenant_by_id(db, found.tenant_id)
        except NotFound:
            return None
    return Visit(tenant, found.role, found.expires_at)


def visit() -> Visit:
    """The visit of this request. For pages behind `/settings/`, where there always is one."""
    found = g.visit
    assert isinstance(found, Visit), "only pages that ask for a session have a visit"  # noqa: S101  # a fault of ours
    return found


def _id_hash(session_id: str) -> str:
    # What is stored opens nothing: reading the database gives no session away.
    return hashlib.sha256(f"session|{session_id}".encode()).hexdigest()
