"""A folder of small files, on this machine or behind a URL that fsspec knows (s3://…, gs://…, memory://…).

Whole files go in and out. One is written under another name and then moved, so that a reader never sees half of it;
in a bucket, where a file is there at once and whole, it is written under its own.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dbt_rfm.errors import ModelError, did_you_mean

_DRAFT = "new-"

# Protocols of buckets. A folder is part of a name there, and to ask for one would make the bucket where it is missing.
_BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})


class Files:
    def __init__(self, root: str | os.PathLike[str]) -> None:
        """Raises ModelError where a URL names a password, or its protocol is unknown or lacks a package."""
        self.root = os.fspath(root)
        self._system, self._path = _opened(self.root)

    def within(self, name: str) -> Files:
        """The folder of this name in this one."""
        inner = Files.__new__(Files)
        inner.root, inner._system = self.where(name), self._system
        inner._path = f"{self._path.rstrip('/')}/{name}"
        return inner

    def where(self, name: str) -> str:
        return f"{self.root.removesuffix('/')}/{name}"

    def names(self, *, start: str = "", end: str = "") -> list[str]:
        """Of the files that are there, in order; none where there is no folder."""
        with self._told("listed"):
            self._system.invalidate_cache()  # others write here too
            try:
                found = self._system.ls(self._path, detail=False)
            except FileNotFoundError:
                return []
        names = (path.rsplit("/", 1)[-1] for path in found)
        return sorted(name for name in names if name.startswith(start) and name.endswith(end))

    def read(self, name: str) -> bytes | None:
        """None where there is no such file."""
        with self._told("read"):
            try:
                return self._system.cat_file(self._of(name))
            except FileNotFoundError:
                return None

    def write(self, name: str, data: bytes) -> None:
        with self._told("written"):
            if self._in_bucket():
                self._system.pipe_file(self._of(name), data)
                return
            draft = self._of(f"{_DRAFT}{uuid.uuid4().hex}")
            self._system.makedirs(self._path, exist_ok=True)
            self._system.pipe_file(draft, data)
            self._system.mv(draft, self._of(name))

    def remove(self, name: str) -> None:
        """No matter whether it is there."""
        with self._told("removed"):
            try:
                self._system.rm_file(self._of(name))
            except FileNotFoundError:
                return

    def _in_bucket(self) -> bool:
        protocol = self._system.protocol
        return not _BUCKETS.isdisjoint({protocol} if isinstance(protocol, str) else protocol)

    def _of(self, name: str) -> str:
        return f"{self._path}/{name}"

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        """Stores behind URLs raise what they like: one message of it, whatever it is."""
        try:
            yield
        except Exception as error:
            reason = getattr(error, "strerror", None) or str(error).strip().split("\n", 1)[0] or type(error).__name__
            raise ModelError(f"the files in {self.root} cannot be {done}: {reason}") from error


@dataclass(frozen=True)
class File:
    """One of them, by name."""

    files: Files
    name: str

    def read(self) -> bytes | None:
        return self.files.read(self.name)

    def write(self, data: bytes) -> None:
        self.files.write(self.name, data)

    def remove(self) -> None:
        self.files.remove(self.name)


def file_at(path: str | os.PathLike[str]) -> File:
    """The file of a path or URL. Raises ModelError as `Files`."""
    folder, name = os.path.split(os.fspath(path))
    return File(Files(folder or "."), name)


def _opened(root: str) -> tuple[Any, str]:
    """A file system of fsspec, and the path there."""
    from fsspec.core import url_to_fs  # takes a moment to import: only what trains has use for it
    from fsspec.implementations.local import LocalFileSystem
    from fsspec.registry import available_protocols, known_implementations

    if "://" not in root:
        return LocalFileSystem(), os.path.abspath(root)
    protocol, place = root.split("://", 1)
    if re.match(r"[^/@]*:[^/]*@", place):
        # A bundle records where weights are, and a message says it.
        raise ModelError(
            f"the {protocol}:// URL of a folder names a password", hint="Leave it to the settings of the environment."
        )
    if protocol not in available_protocols():
        hint = f"{did_you_mean(protocol, available_protocols())} Or name a folder.".strip()
        raise ModelError(f"nobody knows the protocol of {root}", hint=hint)
    try:
        return url_to_fs(root)
    except ImportError as error:
        known = known_implementations[protocol]
        package = known["class"].split(".", 1)[0]
        hint = known["err"] if package == "fsspec" else f"pip install {package}"
        raise ModelError(f"{root} needs a package that is not installed", hint=hint) from error
