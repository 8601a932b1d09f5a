"""Config links and the sessions that came of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from plugin.store.tables import links, sessions


@dataclass(frozen=True)
class Link:
    id: str
    tenant_id: str
    role: str
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True)
class Session:
    tenant_id: str
    link_id: str
    role: str
    expires_at: datetime


def add_link(db: Connection, tenant_id: str, link: Link, now: datetime) -> None:
    db.execute(
        insert(links).values(
            id=link.id, tenant_id=tenant_id, role=link.role, created_at=now, expires_at=link.expires_at
        )
    )


def find_link(db: Connection, link_id: str, now: datetime) -> Link | None:
    """A link that is still good. Its id comes out of a signed token and names the tenant, so none is given."""
    row = db.execute(
        select(links.c.id, links.c.tenant_id, links.c.role, links.c.expires_at, links.c.revoked_at).where(
            links.c.id == link_id, links.c.expires_at > now, links.c.revoked_at.is_(None)
        )
    ).one_or_none()
    return Link(*row) if row else None


def revoke_links(db: Connection, tenant_id: str, now: datetime) -> int:
    """Revoke every link of a tenant and end every session that came of one. Gives how many links were still good."""
    result = db.execute(
        update(links)
        .where(links.c.tenant_id == tenant_id, links.c.revoked_at.is_(None), links.c.expires_at > now)
        .values(revoked_at=now)
    )
    db.execute(delete(sessions).where(sessions.c.tenant_id == tenant_id))
    return result.rowcount


def add_session(db: Connection, tenant_id: str, id_hash: str, session: Session, now: datetime) -> None:
    db.execute(
        insert(sessions).values(
            id_hash=id_hash,
            tenant_id=tenant_id,
            link_id=session.link_id,
            role=session.role,
            created_at=now,
            expires_at=session.expires_at,
        )
    )


def find_session(db: Connection, id_hash: str, now: datetime) -> Session | None:
    """A session that is still good and whose link was not revoked."""
    row = db.execute(
        select(sessions.c.tenant_id, sessions.c.link_id, sessions.c.role, sessions.c.expires_at)
        .join(links, links.c.id == sessions.c.link_id)
        .where(sessions.c.id_hash == id_hash, sessions.c.expires_at > now, links.c.revoked_at.is_(None))
    ).one_or_none()
    return Session(*row) if row else None


def end_session(db: Connection, id_hash: str) -> None:
    db.execute(delete(sessions).where(sessions.c.id_hash == id_hash))


def remove_stale_sessions(db: Connection, now: datetime) -> None:
    db.execute(delete(sessions).where(sessions.c.expires_at <= now))
