"""Configuration from the environment: read once, checked whole, frozen."""

from __future__ import annotations

import binascii
import os
import ssl
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
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
from plugin.store.opening import sqlite_path

DEFAULT_DATABASE: Final = "sqlite:///var/survey-plugin.db"
_SHORTEST_SIGNING_KEY: Final = 32
_SHORTEST_TOKEN: Final = 16
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
    operator_token: Secret | None = None
    web_concurrency: int = 1
    worker_threads: int = 32
    retention_days: int = 90
    log_format: str = "console"

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https://")

    @property
    def keys_file(self) -> Path | None:
        """Where the keys that were not given stand, beside a SQLite database."""
        path = sqlite_path(self.database_url)
        return _keys_file(path) if path is not None else None

    def data_key_bytes(self) -> list[bytes]:
        return [_decoded_key(key.reveal()) or b"" for key in self.data_keys]


def load_config(entropy: Entropy) -> Config:
    """Read the environment. With SQLite, keys that are not given are loaded from `keys.env` beside
    the database, which is made when it is not there.

    Raises ConfigInvalid with every problem found.
    """
    values, problems = _read()
    database_url = values.pop("database_url")
    path, is_unknown = None, False
    try:
        path = sqlite_path(database_url)
    except ConfigInvalid as error:
        problems += error.problems
        is_unknown = True
    given = {"SECRET_KEYS": values.pop("secret_keys"), "DATA_KEYS": values.pop("data_keys")}
    keys, missing = (given, []) if is_unknown else _completed(given, path, entropy)
    problems += missing
    problems += _key_problems(keys)
    if problems:
        raise ConfigInvalid(problems)
    return Config(
        database_url=database_url,
        secret_keys=tuple(Secret(key) for key in keys["SECRET_KEYS"]),
        data_keys=tuple(Secret(key) for key in keys["DATA_KEYS"]),
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
        "extra_vendor_origins": env.origins("EXTRA_VENDOR_ORIGINS"),
        "outbound_proxy": env.secret("OUTBOUND_PROXY"),
        "extra_ca_file": env.text("EXTRA_CA_FILE", "") or None,
        "operator_token": env.secret("OPERATOR_TOKEN"),
        "web_concurrency": env.number("WEB_CONCURRENCY", 1, 1, 64),
        "worker_threads": env.number("WORKER_THREADS", 32, 1, 512),
        "retention_days": env.number("RETENTION_DAYS", 90, 1, 3650),
        "log_format": env.choice("LOG_FORMAT", "console", ["json", "console"]),
    }
    problems += _base_url_problems(values["base_url"])
    problems += _proxy_problems(values["outbound_proxy"])
    problems += _ca_problems(values["extra_ca_file"])
    problems += _token_problems(values["operator_token"])
    return values, problems


class _Reader:
    """Reads variables one by one and remembers what is wrong. NAME_FILE names a file that holds the value.

    An empty variable counts as one that is not there. What is wrong is told without the value: it may be a secret.
    """

    def __init__(self, problems: list[str]) -> None:
        self._env = FileAwareEnv(strip_whitespace=True)
        self._problems = problems

    def text(self, name: str, default: str) -> str:
        return str(self._get("str", name, default)).strip()

    def items(self, name: str) -> list[str]:
        return _split(self.text(name, ""))

    def secret(self, name: str) -> Secret | None:
        text = self.text(name, "")
        return Secret(text) if text else None

    def origins(self, name: str) -> tuple[str, ...]:
        """Addresses of scheme, host and port, in the one form that they are compared in."""
        found = [_bare_origin(item) for item in self.items(name)]
        self._problems += [
            f"{name}: entry {i + 1} is not a scheme, host and port such as http://127.0.0.1:9000"
            for i, origin in enumerate(found)
            if origin is None
        ]
        return tuple(origin for origin in found if origin is not None)

    def number(self, name: str, default: int, low: int, high: int) -> int:
        words = f"must be a whole number from {low} to {high}."
        within = validate.Range(low, high, error=words)
        return int(self._get("int", name, default, validate=within, error_messages={"invalid": words}))

    def choice(self, name: str, default: str, choices: list[str]) -> str:
        one_of = validate.OneOf(choices, error=f"must be one of: {', '.join(choices)}.")
        return str(self._get("str", name, default, validate=one_of))

    def _get(self, kind: str, name: str, default: Any, **kwargs: Any) -> Any:
        if not (os.environ.get(name, "").strip() or os.environ.get(f"{name}_FILE")):
            return default
        try:
            return getattr(self._env, kind)(name, default, **kwargs)
        except EnvValidationError as error:
            self._problems.append(f"{name}: {' '.join(map(str, error.error_messages))}")
        except (EnvError, ValueError, OSError):
            self._problems.append(f"{name}: the file that {name}_FILE names cannot be read.")
        return default


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _bare_origin(url: str) -> str | None:
    try:
        return origin_of(url) if urlsplit(url).path in {"", "/"} else None
    except ValueError:
        return None


def _base_url_problems(base_url: str) -> list[str]:
    try:
        origin_of(base_url)
    except ValueError:
        return ["BASE_URL: is not an address such as https://surveys.example.com"]
    parts = urlsplit(base_url)
    if parts.path or parts.query or parts.fragment:
        # The pages' own links and cookies start at the root.
        return [
            "BASE_URL: must be a scheme and a host alone, such as https://surveys.example.com, with no path after it."
        ]
    return []


def _proxy_problems(proxy: Secret | None) -> list[str]:
    if proxy is None:
        return []
    try:
        parts = urlsplit(proxy.reveal())
        if parts.scheme == "http" and parts.hostname:
            return []
    except ValueError:
        pass
    return ["OUTBOUND_PROXY: is not an address such as http://proxy.example.com:3128"]


def _ca_problems(path: str | None) -> list[str]:
    if path is None:
        return []
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError:  # SSLError is one
        return [f"EXTRA_CA_FILE: {path} is not a readable file of PEM certificates."]
    return []


def _token_problems(token: Secret | None) -> list[str]:
    if token is None:
        return []
    text = token.reveal()
    if len(text) < _SHORTEST_TOKEN:
        return [f"OPERATOR_TOKEN: is shorter than {_SHORTEST_TOKEN} characters."]
    if not (text.isascii() and text.isprintable()) or " " in text:
        return ["OPERATOR_TOKEN: holds a blank or a character that no HTTP header can carry; use letters and digits."]
    return []


def _key_problems(keys: Mapping[str, list[str]]) -> list[str]:
    problems = []
    for i, key in enumerate(keys["SECRET_KEYS"]):
        if len(key) < _SHORTEST_SIGNING_KEY:
            problems.append(f"SECRET_KEYS: key {i + 1} is shorter than {_SHORTEST_SIGNING_KEY} characters.")
    for i, key in enumerate(keys["DATA_KEYS"]):
        if _decoded_key(key) is None:
            problems.append(f"DATA_KEYS: key {i + 1} is not {_DATA_KEY_BYTES} bytes in URL-safe base64.")
    return problems


def _decoded_key(key: str) -> bytes | None:
    try:
        raw = urlsafe_b64decode(key + "=" * (-len(key) % 4))
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == _DATA_KEY_BYTES else None


def _completed(
    keys: Mapping[str, list[str]], path: Path | None, entropy: Entropy
) -> tuple[Mapping[str, list[str]], list[str]]:
    """The keys with those filled in that were not given, and what is wrong with that. path: of a SQLite database."""
    missing = [name for name, given in keys.items() if not given]
    if not missing:
        return keys, []
    if path is None:
        words = "must be given with PostgreSQL, the same for every process and machine."
        return keys, [f"{name}: {words}" for name in missing]
    try:
        stored = _keys_beside(path, entropy)
    except OSError as error:
        sentence = (
            f"{_keys_file(path)}: the keys cannot be read or made there ({error.strerror}); give "
            "SECRET_KEYS and DATA_KEYS, or make the folder writable."
        )
        return keys, [sentence]
    absent = [name for name in missing if not stored[name]]
    problems = [
        f"{_keys_file(path)}: holds no {name}; bring the file back from a copy, or give {name}." for name in absent
    ]
    return {name: given or stored[name] for name, given in keys.items()}, problems


def _keys_file(database: Path) -> Path:
    """Beside a SQLite database: the keys that were made for it."""
    return database.with_name("keys.env")


def _keys_beside(database: Path, entropy: Entropy) -> dict[str, list[str]]:
    path = _keys_file(database)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_keys(path, entropy)
    keys: dict[str, list[str]] = {"SECRET_KEYS": [], "DATA_KEYS": []}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition("=")
        if name.strip() in keys:
            keys[name.strip()] = _split(value)
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
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    _make_durable(path.parent)


def _make_durable(folder: Path) -> None:
    """Have the folder's entries on the disk: no secret may ever be sealed with a key that a power cut takes away."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
