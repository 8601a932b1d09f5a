"""The configuration: every variable, both its forms, the keys that are made, and all faults told together."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from itertools import count
from pathlib import Path

import pytest

from plugin.config import Config, load_config
from plugin.errors import ConfigInvalid
from plugin.redaction import Secret

SIGNING_KEY = "a signing key of thirty-two characters and more"
DATA_KEY = urlsafe_b64encode(bytes(32)).decode()
ORIGIN = "http://127.0.0.1:9000"

#: Each variable, an allowed value, and what becomes of it.
VARIABLES = [
    ("DATABASE_URL", "sqlite:///elsewhere/plugin.db", "database_url", "sqlite:///elsewhere/plugin.db"),
    ("SECRET_KEYS", f"{SIGNING_KEY}, {SIGNING_KEY}2", "secret_keys", (Secret(SIGNING_KEY), Secret(f"{SIGNING_KEY}2"))),
    ("DATA_KEYS", DATA_KEY, "data_keys", (Secret(DATA_KEY),)),
    ("BASE_URL", "https://surveys.example.com/", "base_url", "https://surveys.example.com"),
    ("EXTRA_VENDOR_ORIGINS", f"{ORIGIN}/, https://ACME.example:443", "extra_vendor_origins",
     (ORIGIN, "https://acme.example")),
    ("OUTBOUND_PROXY", "http://user:password@proxy.example:3128", "outbound_proxy",
     Secret("http://user:password@proxy.example:3128")),
    ("OPERATOR_TOKEN", "a-token-of-16-ch", "operator_token", Secret("a-token-of-16-ch")),
    ("WEB_CONCURRENCY", "4", "web_concurrency", 4),
    ("WORKER_THREADS", "8", "worker_threads", 8),
    ("LOG_FORMAT", "json", "log_format", "json"),
]  # fmt: skip

#: Each fault, and words of the sentence that names it.
FAULTS = [
    ("DATABASE_URL", "mysql://user:hidden@db/plugin", "mysql is not supported"),
    ("DATABASE_URL", "var/plugin.db", "is not a database address"),
    ("DATABASE_URL", "sqlite://", "names no file"),
    ("SECRET_KEYS", "hidden", "key 1 is shorter than 32 characters"),
    ("SECRET_KEYS", f"{SIGNING_KEY},hidden", "key 2 is shorter"),
    ("DATA_KEYS", "hidden", "key 1 is not 32 bytes"),
    ("DATA_KEYS", f"{DATA_KEY},Ł", "key 2 is not 32 bytes"),
    ("BASE_URL", "surveys.example.com", "is not an address"),
    ("BASE_URL", "https://user:hidden@surveys.example.com", "is not an address"),
    ("BASE_URL", "https://surveys.example.com:99999", "is not an address"),
    ("BASE_URL", "https://surveys.example.com/?a=b", "a scheme and a host alone"),
    ("BASE_URL", "https://example.com/surveys", "a scheme and a host alone"),
    ("EXTRA_VENDOR_ORIGINS", f"{ORIGIN},http://[", "entry 2 is not a scheme, host and port"),
    ("EXTRA_VENDOR_ORIGINS", f"{ORIGIN}/api", "entry 1 is not a scheme, host and port"),
    ("OUTBOUND_PROXY", "https://hidden:hidden@proxy.example", "is not an address such as http://proxy"),
    ("OUTBOUND_PROXY", "http://[", "is not an address such as http://proxy"),
    ("EXTRA_CA_FILE", "/no/such/file.pem", "/no/such/file.pem is not a readable file of PEM certificates"),
    ("EXTRA_CA_FILE", __file__, "is not a readable file of PEM certificates"),
    ("OPERATOR_TOKEN", "hidden-15-chars", "is shorter than 16 characters"),
    ("OPERATOR_TOKEN", "hidden hidden hidden", "holds a blank or a character that no HTTP header can carry"),
    ("OPERATOR_TOKEN", "hidden-żółw-of-operators", "holds a blank or a character that no HTTP header can carry"),
    ("WEB_CONCURRENCY", "many", "must be a whole number from 1 to 64"),
    ("WORKER_THREADS", "0", "must be a whole number from 1 to 512"),
    ("LOG_FORMAT", "xml", "must be one of: json, console"),
    ("SECRET_KEYS_FILE", "/no/such/file", "SECRET_KEYS: the file that SECRET_KEYS_FILE names cannot be read"),
]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An empty folder, and none of our variables set."""
    monkeypatch.chdir(tmp_path)
    for name in {name for name, *_ in VARIABLES} | {"EXTRA_CA_FILE"}:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    return monkeypatch


def load() -> Config:
    drawn = count(1)
    return load_config(lambda length: bytes([next(drawn)]) * length)


def problems() -> tuple[str, ...]:
    with pytest.raises(ConfigInvalid) as caught:
        load()
    return caught.value.problems


def test_an_empty_environment_is_a_working_installation(environment: pytest.MonkeyPatch) -> None:
    config = load()

    assert config.database_url == "sqlite:///var/survey-plugin.db"
    assert (config.base_url, config.is_https) == ("http://127.0.0.1:8000", False)
    assert (config.web_concurrency, config.worker_threads, config.log_format) == (1, 32, "console")
    assert (config.outbound_proxy, config.extra_ca_file) == (None, None)


@pytest.mark.parametrize(("name", "value", "field", "expected"), VARIABLES, ids=[name for name, *_ in VARIABLES])
@pytest.mark.parametrize("from_file", [False, True], ids=["variable", "file"])
def test_a_variable_and_the_file_that_stands_for_it_mean_the_same(
    environment: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    value: str,
    field: str,
    expected: object,
    from_file: bool,
) -> None:
    if from_file:
        (tmp_path / "value").write_text(f"{value}\n", encoding="utf-8")
        environment.setenv(f"{name}_FILE", str(tmp_path / "value"))
    else:
        environment.setenv(name, value)

    assert getattr(load(), field) == expected


@pytest.mark.parametrize("name", [name for name, *_ in VARIABLES])
def test_an_empty_variable_counts_as_none(environment: pytest.MonkeyPatch, name: str) -> None:
    default = load()

    environment.setenv(name, " ")

    assert load() == default


@pytest.mark.parametrize(("name", "value", "sentence"), FAULTS)
def test_a_fault_is_told_with_its_variable_and_never_shows_a_secret(
    environment: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    environment.setenv(name, value)

    [problem] = problems()

    assert problem.startswith(name.removesuffix("_FILE") if name != "EXTRA_CA_FILE" else name)
    assert sentence in problem
    assert "hidden" not in problem


def test_all_faults_are_told_together(environment: pytest.MonkeyPatch) -> None:
    told = {name: value for name, value, _ in FAULTS if not name.endswith("KEYS_FILE")}
    for name, value in told.items():
        environment.setenv(name, value)

    assert {problem.partition(":")[0] for problem in problems()} == set(told)


def test_keys_are_made_once_beside_the_database_and_for_its_owner_alone(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = load()
    made = (tmp_path / "var" / "keys.env").read_bytes()

    again = load_config(os.urandom)

    assert (again.secret_keys, again.data_keys) == (first.secret_keys, first.data_keys)
    assert [len(key) for key in again.data_key_bytes()] == [32]
    assert (tmp_path / "var" / "keys.env").read_bytes() == made
    assert (tmp_path / "var" / "keys.env").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["keys.env"]


def test_a_given_key_is_taken_and_the_other_one_made(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATA_KEYS", DATA_KEY)

    config = load()

    assert config.data_keys == (Secret(DATA_KEY),)
    assert len(config.secret_keys[0].reveal()) >= 32


def test_no_file_is_made_where_both_keys_are_given(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("DATA_KEYS", DATA_KEY)
    environment.setenv("SECRET_KEYS", SIGNING_KEY)

    load()

    assert list(tmp_path.iterdir()) == []


def test_an_emptied_keys_file_is_not_filled_again(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """New keys would hide that the old ones, which stored secrets are sealed with, are gone."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "keys.env").write_bytes(b"SECRET_KEYS=\n\xff\xfe\n")

    told = problems()

    assert [problem.partition("; ")[0] for problem in told] == [
        "var/keys.env: holds no SECRET_KEYS",
        "var/keys.env: holds no DATA_KEYS",
    ]
    assert (tmp_path / "var" / "keys.env").read_bytes() == b"SECRET_KEYS=\n\xff\xfe\n"


def test_a_folder_that_cannot_be_written_to_is_told(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    environment.setenv("DATABASE_URL", "sqlite:///file/below/plugin.db")

    [problem] = problems()

    assert problem.startswith("file/below/keys.env: the keys cannot be read or made there (")


def test_processes_that_start_at_once_agree_on_one_set_of_keys(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = (
        "import os, sys; from plugin.config import load_config; sys.stdin.read(); "
        "print(hash(load_config(os.urandom).data_keys[0].reveal()))"
    )
    environment.setenv("PYTHONHASHSEED", "0")
    racers = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(4)
    ]

    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.close()
        racer.stdin = None
    answers = {racer.communicate(timeout=30)[0] for racer in racers}

    assert len(answers) == 1
    assert answers != {b""}
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["keys.env"]


def test_no_secret_is_in_what_is_printed_of_a_configuration(environment: pytest.MonkeyPatch) -> None:
    for name, value, *_ in VARIABLES:
        environment.setenv(name, value)

    shown = repr(load())

    assert not [part for part in (SIGNING_KEY, DATA_KEY, "password") if part in shown]
