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
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()

    def add(self, **facts: Any) -> None:
        with self._lock:
            if self._file.closed:
                return  # the round is over
            self._file.write(json.dumps(facts).encode() + b"\n")
            os.fsync(self._file.fileno())

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._path.read_text("utf-8").splitlines()]

    def close(self) -> None:
        with self._lock:
            self._file.close()
