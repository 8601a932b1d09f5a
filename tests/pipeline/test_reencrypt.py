"""Every stored secret is sealed anew with the newest key, whatever else goes on."""

from __future__ import annotations

import secrets

import pytest
from sqlalchemy import select, update

from plugin.pipeline.credentials import connection_settings, load_credentials, load_memory
from plugin.pipeline.reencrypt import keys_in_use, reencrypt
from plugin.store import connections, sealed, sources
from plugin.store.tables import delivery_calls, metadata
from plugin.tenant_file import stored_document
from plugin.vault import Vault, key_place, memory_place
from tests.acme import ACME

OLD, NEW = b"k" * 32, b"n" * 32


def vault(*keys):
    return Vault(keys, secrets.token_bytes)


def run(acme, *keys):
    return reencrypt(acme.parts.database, vault(*keys), lambda done, total: None)


@pytest.fixture
def stored(acme):
    """A tenant whose every sealed column holds something; gives how many texts that are."""
    acme.apply(ACME.replace("lab-token", "another-token"))
    acme.close()
    place = memory_place(acme.tenant.id, acme.delivery().id)
    with acme.parts.database.write() as db:
        db.execute(update(delivery_calls).values(memory=acme.parts.vault.seal('{"id": "7"}', place)))
        return sealed.count_texts(db)


def read_everything(acme, ring):
    """What a vault opens of all that is stored. Raises VaultError."""
    tenant = acme.tenant
    with acme.parts.database.read() as db:
        document = stored_document(db, ring, tenant)
        credentials = [load_credentials(ring, one) for one in sources.sources_of(db, tenant.id)]
        keys = sorted(
            ring.open(key.key, key_place(tenant.id, source_id))
            for source_id, several in sources.keys_of(db, tenant.id, acme.clock()).items()
            for key in several
        )
        settings = [connection_settings(ring, one) for one in connections.connections_of(db, tenant.id)]
        call = db.execute(select(delivery_calls)).one()
        return document, credentials, keys, settings, load_memory(ring, tenant.id, call.delivery_id, call.memory)


def test_every_column_that_holds_sealed_texts_is_known():
    declared = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if column.comment == "sealed" or column.name == "sealed"
    }
    assert {one.name for one in sealed.COLUMNS} == declared


def test_afterwards_the_newest_key_alone_opens_everything(acme, stored):
    before = read_everything(acme, vault(OLD))

    done = run(acme, NEW, OLD)

    assert (done.seen, done.changed, done.overtaken, done.problems) == (stored, stored, 0, [])
    assert str(read_everything(acme, vault(NEW))) == str(before)
    assert keys_in_use(acme.parts.database, vault(NEW, OLD)) == {vault(NEW).key_ids[0]: stored}


def test_done_twice_it_changes_nothing(acme, stored):
    run(acme, NEW, OLD)

    assert run(acme, NEW, OLD).changed == 0


def test_it_goes_page_by_page_and_does_the_rest_after_a_stop(acme, stored, monkeypatch):
    monkeypatch.setattr(sealed, "PAGE", 1)

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reencrypt(acme.parts.database, vault(NEW, OLD), stop)

    assert run(acme, NEW, OLD).changed == stored - 3
    read_everything(acme, vault(NEW))


def test_what_somebody_else_saves_meanwhile_is_left_alone(acme, stored, monkeypatch):
    saved = acme.parts.vault.seal('{"id": "8"}', memory_place(acme.tenant.id, acme.delivery().id))
    really = sealed.replace_text

    def be_overtaken(db, column, old, text):
        if column.name == "delivery_calls.memory":
            db.execute(update(delivery_calls).values(memory=saved))
        return really(db, column, old, text)

    monkeypatch.setattr(sealed, "replace_text", be_overtaken)

    done = run(acme, NEW, OLD)

    assert (done.changed, done.overtaken) == (stored - 1, 1)
    assert read_everything(acme, vault(NEW, OLD))[-1] == {"id": "8"}


def test_a_text_that_cannot_be_read_is_told_and_keeps_no_other_back(acme, stored):
    with acme.parts.database.write() as db:
        lost = vault(b"x" * 32).seal("{}", memory_place(acme.tenant.id, acme.delivery().id))
        db.execute(update(delivery_calls).values(memory=lost))

    done = run(acme, NEW, OLD)

    assert done.changed == stored - 1
    [problem] = done.problems
    assert problem.startswith("delivery_calls.memory: ")
    assert "which is not in DATA_KEYS" in problem
