"""backup and restored, as an operator says them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cli.commands import Commands


def test_a_backup_says_what_it_holds_and_what_it_does_not(acme: Commands) -> None:
    told = acme.run("backup", "copy.db").stdout

    assert told.startswith("copy.db: ")
    assert re.search(r"bytes, schema \d{4}, checked\.\n", told)
    assert "Keep a copy of var/keys.env elsewhere" in told


def test_a_file_is_replaced_only_with_force(acme: Commands) -> None:
    Path("copy.db").write_text("precious", encoding="utf-8")

    assert "copy.db exists already" in acme.run("backup", "copy.db", code=1).stderr
    assert Path("copy.db").read_text(encoding="utf-8") == "precious"
    acme.run("backup", "copy.db", "--force")
    assert Path("copy.db").read_bytes().startswith(b"SQLite format 3")


def test_a_database_that_does_not_exist_is_not_made_to_be_copied(commands: Commands) -> None:
    assert "There is no database at var/survey-plugin.db" in commands.run("backup", "copy.db", code=1).stderr
    assert not Path("copy.db").exists()
    assert not Path("var/survey-plugin.db").exists()


def test_a_folder_that_does_not_exist_is_a_sentence(acme: Commands) -> None:
    assert "No such file or directory" in acme.run("backup", "nowhere/copy.db", code=1).stderr


def test_after_putting_a_backup_back_somebody_has_to_decide(acme: Commands) -> None:
    waiting = acme.close_ticket()
    acme.run("backup", "copy.db")
    Path("copy.db").replace("var/survey-plugin.db")

    assert "restored --hold" in acme.run("worker", code=1).stderr
    assert "Say --hold or --send" in acme.run("restored", code=2).stderr
    assert acme.run("restored", "--hold").stdout.startswith("Held as uncertain: 1.")

    [held] = acme.deliveries()
    assert (held["id"], held["state"], held["reason"]) == (waiting["id"], "uncertain", "restored")
