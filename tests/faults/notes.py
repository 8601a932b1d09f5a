"""What an outsider writes down: one line of JSON for each fact, on the disk before anything else happens."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any


class Notes:
    """A file of facts. Any thread may add to it; a line stands on the disk when `add` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()

    def add(self, **facts: Any) -> None:
        with self._lock:
            os.write(self._file, json.dumps(facts).encode() + b"\n")
            os.fsync(self._file)

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._path.read_text("utf-8").splitlines()]

    def close(self) -> None:
        os.close(self._file)
