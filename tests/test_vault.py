from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from plugin.errors import VaultError
from plugin.vault import Place, Vault, credentials_place, document_place, key_place, memory_place, settings_place

OLD, NEW = b"o" * 32, b"n" * 32
PLACE = Place("tenant-1", "sources", "row-1", "credentials")


def vault(*keys):
    return Vault(keys, secrets.token_bytes)


@pytest.mark.parametrize("text", ["", "s3cret", "Zażółć 😀", "x" * 100_000])
def test_what_was_sealed_opens_in_its_place(text):
    sealed = vault(NEW).seal(text, PLACE)

    assert vault(NEW).open(sealed, PLACE) == text
    assert text not in sealed or not text


def test_the_same_text_is_never_sealed_alike():
    assert vault(NEW).seal("s3cret", PLACE) != vault(NEW).seal("s3cret", PLACE)


@pytest.mark.parametrize("moved", ["tenant", "table", "row", "field"])
def test_what_was_moved_elsewhere_does_not_open(moved):
    sealed = vault(NEW).seal("s3cret", PLACE)

    with pytest.raises(VaultError, match="damaged or was copied there from another row") as caught:
        vault(NEW).open(sealed, replace(PLACE, **{moved: "other"}))

    assert "s3cret" not in str(caught.value)


def test_every_kind_of_secret_has_a_place_of_its_own():
    places = [
        credentials_place("t", "1"),
        key_place("t", "1"),
        settings_place("t", "1"),
        memory_place("t", "1"),
        document_place("t", 1),
    ]

    assert len({place.associated_data() for place in places}) == len(places)


def test_an_old_key_opens_and_the_newest_seals():
    sealed = vault(OLD).seal("s3cret", PLACE)
    both = vault(NEW, OLD)

    assert both.open(sealed, PLACE) == "s3cret"
    assert vault(NEW).open(both.seal("s3cret", PLACE), PLACE) == "s3cret"


def test_a_key_that_is_missing_is_named():
    sealed = vault(OLD).seal("s3cret", PLACE)
    key_id = sealed.split(".")[1]

    with pytest.raises(VaultError, match=f"data key {key_id}, which is not in DATA_KEYS"):
        vault(NEW).open(sealed, PLACE)


def test_another_key_with_the_same_id_does_not_open_it():
    sealed = vault(OLD).seal("s3cret", PLACE)
    version, _, body = sealed.split(".")
    other_id = vault(NEW).seal("", PLACE).split(".")[1]

    with pytest.raises(VaultError, match="damaged"):
        vault(NEW).open(f"{version}.{other_id}.{body}", PLACE)


def damaged():
    # A fixed nonce: test processes that run side by side have to name their tests alike.
    sealed = Vault([NEW], entropy=bytes).seal("s3cret", PLACE)
    head = sealed[: sealed.rindex(".") + 1]
    yield from (sealed[:-1], sealed[:-4], sealed[:20], head, head + "AAAA", head + "A", head + "ł", head + "\ud800")
    yield from (head + "!!!!", sealed + "A", sealed.replace(sealed[30], "B" if sealed[30] != "B" else "C", 1))
    yield from ("", ".", "..", "v1", "v2" + sealed[2:], "plain text", "\x00")


@pytest.mark.parametrize("text", list(damaged()))
def test_a_damaged_secret_is_told_whatever_the_damage(text):
    with pytest.raises(VaultError):
        vault(NEW).open(text, PLACE)


def test_a_vault_without_a_key_is_refused():
    with pytest.raises(VaultError, match="No data key"):
        vault()
