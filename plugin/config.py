"""Configuration from the environment: read once, checked whole, frozen."""

from __future__ import annotations

import binascii
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from environs import EnvError, EnvValidationError, FileAwareEnv
from marshmallow import validate

from plugin.domain.identity import Entropy
from plugin.domain.survey_call import origin_of
from plugin.errors import ConfigInvalid
from plugin.redaction import Secret
from plugin.store.database import sqlite_path

DEFAULT_DATABASE: Final = "sqlite:///var/survey-plugin.db"
#: Beside a SQLite database: the keys that were made for it.
KEYS_FILE: Final = "keys.env"
_SHORTEST_SIGNING_KEY: Final = 32
_DATA_KEY_BYTES: Final = 32


@dataclass(frozen=True)
class Config:
    """One installation. Keys are newest first. Times are in the units their names say."""

    database_url: str = field(repr=False)
    secret_keys: tuple[Secret, ...]
    data_keys: tuple[Secret, ...]
    base_url: str = "http://127.0.0.1:8000"
    extra_vendor_origins: tuple[str, ...] = ()
    outbound_proxy: Secret | None = None
    extra_ca_file: str | None = None
    web_concurrency: int = 1
    worker_threads: int = 32
    log_format: str = "console"

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https://")

    def data_key_bytes(self) -> list[bytes]:
        return [_decoded_key(key.reveal()) or b"" for key in self.data_keys]


def load_config(entropy: Entropy) -> Config:
    """Read the environment. With SQLite, keys that are not given are loaded from KEYS_FILE, made when it is not there.

    Raises ConfigInvalid with every problem found.
    """
    values, problems = _read()
    database_url = values.pop("database_url")
    try:
        path: Path | None = sqlite_path(database_url)
    except ConfigInvalid as error:
        problems += error.problems
        path = None
    keys = {"secret_keys": values.pop("secret_keys"), "data_keys": values.pop("data_keys")}
    if path is not None and not (keys["secret_keys"] and keys["data_keys"]):
        try:
            stored = _keys_beside(path, entropy)
            keys = {name: given or stored[name] for name, given in keys.items()}
        except OSError as error:
            problems.append(
                f"{path.parent / KEYS_FILE}: the keys cannot be read or made there ({error.strerror}); give "
                "SECRET_KEYS and DATA_KEYS, or make the folder writable."
            )
    problems += _key_problems(keys, ask=path is None)
    if problems:
        raise ConfigInvalid(problems)
    return Config(
        database_url=database_url,
        secret_keys=tuple(Secret(key) for key in keys["secret_keys"]),
        data_keys=tuple(Secret(key) for key in keys["data_keys"]),
        **values,
    )


def _read() -> tuple[dict[str, Any], list[str]]:
    problems: list[str] = []
    env = _Reader(problems)
    values: dict[str, Any] = {
        "database_url": env.text("DATABASE_URL", DEFAULT_DATABASE),
        "secret_keys": env.items("SECRET_KEYS"),
        "data_keys": env.items("DATA_KEYS"),
        "base_url": env.text("BASE_URL", "http://127.0.0.1:8000").rstrip("/"),
        "extra_vendor_origins": tuple(env.items("EXTRA_VENDOR_ORIGINS")),
        "outbound_proxy": env.secret("OUTBOUND_PROXY"),
        "extra_ca_file": env.text("EXTRA_CA_FILE", "") or None,
        "web_concurrency": env.number("WEB_CONCURRENCY", 1, 1, 64),
        "worker_threads": env.number("WORKER_THREADS", 32, 1, 512),
        "log_format": env.choice("LOG_FORMAT", "console", ["json", "console"]),
    }
    problems += _base_url_problems(values["base_url"])
    for origin in values["extra_vendor_origins"]:
        problems += _origin_problems(origin)
    proxy = values["outbound_proxy"]
    if proxy is not None and not urlsplit(proxy.reveal()).hostname:
        problems.append("OUTBOUND_PROXY: is not an address such as http://proxy.example:3128")
    if values["extra_ca_file"] and not os.access(values["extra_ca_file"], os.R_OK):
        problems.append(f"EXTRA_CA_FILE: {values['extra_ca_file']} cannot be read.")
    return values, problems


class _Reader:
    """Reads variables one by one and remembers what is wrong. NAME_FILE names a file that holds the value."""

    def __init__(self, problems: list[str]) -> None:
        self._env = FileAwareEnv(strip_whitespace=True)
        self._problems = problems

    def text(self, name: str, default: str) -> str:
        return str(self._get("str", name, default))

    def items(self, name: str) -> list[str]:
        return [item.strip() for item in self.text(name, "").split(",") if item.strip()]

    def secret(self, name: str) -> Secret | None:
        text = self.text(name, "").strip()
        return Secret(text) if text else None

    def number(self, name: str, default: int, low: int, high: int) -> int:
        words = f"must be a whole number from {low} to {high}."
        within = validate.Range(low, high, error=words)
        return int(self._get("int", name, default, validate=within, error_messages={"invalid": words}))

    def choice(self, name: str, default: str, choices: list[str]) -> str:
        one_of = validate.OneOf(choices, error=f"must be one of: {', '.join(choices)}.")
        return str(self._get("str", name, default, validate=one_of))

    def _get(self, kind: str, name: str, default: Any, **kwargs: Any) -> Any:
        try:
            return getattr(self._env, kind)(name, default, **kwargs)
        except EnvValidationError as error:
            self._problems.append(f"{name}: {' '.join(map(str, error.error_messages))}")
        except (EnvError, ValueError, OSError):
            self._problems.append(f"{name}: the file that {name}_FILE names cannot be read.")
        return default


def _base_url_problems(base_url: str) -> list[str]:
    try:
        origin_of(base_url)
    except ValueError:
        return [f"BASE_URL: {base_url[:80]} is not an address such as https://surveys.example.com"]
    parts = urlsplit(base_url)
    if parts.query or parts.fragment:
        return ["BASE_URL: must not have a ? or # part; it is put before /triggers/ and /config/."]
    return []


def _origin_problems(origin: str) -> list[str]:
    try:
        if origin_of(origin) == origin.lower():
            return []
    except ValueError:
        pass
    return [f"EXTRA_VENDOR_ORIGINS: {origin[:80]} is not a scheme, host and port such as http://127.0.0.1:9000"]


def _key_problems(keys: Mapping[str, list[str]], *, ask: bool) -> list[str]:
    problems = []
    if ask:
        missing = [name.upper() for name, given in keys.items() if not given]
        problems += [f"{name}: must be given when the database is not SQLite." for name in missing]
    for i, key in enumerate(keys["secret_keys"]):
        if len(key) < _SHORTEST_SIGNING_KEY:
            problems.append(f"SECRET_KEYS: key {i + 1} is shorter than {_SHORTEST_SIGNING_KEY} characters.")
    for i, key in enumerate(keys["data_keys"]):
        if _decoded_key(key) is None:
            problems.append(f"DATA_KEYS: key {i + 1} is not {_DATA_KEY_BYTES} bytes in URL-safe base64.")
    return problems


def _decoded_key(key: str) -> bytes | None:
    try:
        raw = urlsafe_b64decode(key + "=" * (-len(key) % 4))
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == _DATA_KEY_BYTES else None


def _keys_beside(database: Path, entropy: Entropy) -> dict[str, list[str]]:
    path = database.parent / KEYS_FILE
    if not path.exists():
        database.parent.mkdir(parents=True, exist_ok=True)
        _make_keys(path, entropy)
    keys: dict[str, list[str]] = {"secret_keys": [], "data_keys": []}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name.strip().lower() in keys:
            keys[name.strip().lower()] = [item.strip() for item in value.split(",") if item.strip()]
    return keys


def _make_keys(path: Path, entropy: Entropy) -> None:
    """Write new keys in one step: whoever is first wins, and nobody ever reads half a file."""
    lines = (
        "# Keys of this survey-plugin installation. Keep a copy apart from the database: without them its secrets\n"
        "# cannot be read. Newest first, separated by commas.\n"
        f"SECRET_KEYS={urlsafe_b64encode(entropy(32)).decode()}\n"
        f"DATA_KEYS={urlsafe_b64encode(entropy(_DATA_KEY_BYTES)).decode()}\n"
    )
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)
