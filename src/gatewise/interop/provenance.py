"""The provenance of a model: the files that it was read from, with their digests, and its epoch."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

CHANGED = "unknown: the file has changed since the model was read"


@dataclass(frozen=True)
class ReadFile:
    """A file that a model was read from, and its size and time of change (nanoseconds) at that moment."""

    path: Path
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> ReadFile:
        """Return a file as it is now."""
        status = path.stat()
        return cls(path.absolute(), status.st_size, status.st_mtime_ns)

    def digest(self) -> str:
        """Return the SHA-256 digest of the file, or `CHANGED` if it is no longer the file that was read."""
        try:
            with open(self.path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            return digest if ReadFile.of(self.path) == self else CHANGED
        except OSError:
            return CHANGED


@dataclass(frozen=True)
class Provenance:
    """Where a model was read from: the path that was given, the files behind it, and the epoch that they state."""

    path: str
    files: tuple[ReadFile, ...]
    epoch: int | None = None

    def attributes(self) -> dict[str, str | int]:
        """Return it as attributes of a dataset: ``model_file``, ``model_sha256``, and ``model_epoch`` if it is known.

        The digest of several files has a line for each, as ``sha256sum`` prints and checks them in the model's folder.
        It reads the files once more.
        """
        folder = self.path if os.path.isdir(self.path) else os.path.dirname(self.path) or "."
        digests = [(file.digest(), os.path.relpath(file.path, os.path.abspath(folder))) for file in self.files]
        alone = len(digests) == 1 and not os.path.isdir(self.path)
        text = digests[0][0] if alone else "\n".join(f"{digest}  {name}" for digest, name in digests)
        epoch = {} if self.epoch is None else {"model_epoch": self.epoch}
        return {"model_file": self.path, "model_sha256": text, **epoch}
