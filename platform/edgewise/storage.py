"""Bytes: packs, manifests, weights and artifacts, through Django's storage interface.

On the file system a file appears under its name only when it is whole. On S3 the store does that itself; workers keep a
local copy of what they read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from django.conf import settings
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage


class AtomicFileSystemStorage(FileSystemStorage):
    """Write beside the final name, flush to the disk, rename."""

    def _save(self, name: str, content: File) -> str:  # type: ignore[type-arg]
        target = Path(self.path(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".part-")
        try:
            with os.fdopen(handle, "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return name

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Replace what has the same name: names carry a hash or an id, never a user's choice."""
        return name


def put_file(name: str, path: Path) -> None:
    """Store the file at `path` under `name`."""
    with path.open("rb") as file:
        default_storage.save(name, File(file))


def adopt_file(name: str, path: Path) -> None:
    """Store the complete file at `path` under `name` and remove it there; on the same disk nothing is copied."""
    if isinstance(default_storage, FileSystemStorage):
        target = Path(default_storage.path(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.replace(path, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        else:
            return
    put_file(name, path)
    path.unlink()


def put_bytes(name: str, content: bytes) -> None:
    """Store `content` under `name`."""
    default_storage.save(name, ContentFile(content))


def local_path(name: str, sha256: str = "") -> Path:
    """Return a local path of the stored file `name`, fetched into the cache where the store is remote.

    A fetched copy is checked against `sha256` where that is given.

    Raises:
        FileNotFoundError: the store has no such file.
        OSError: the fetched copy is damaged.
    """
    if isinstance(default_storage, FileSystemStorage):
        path = Path(default_storage.path(name))
        if not path.exists():
            raise FileNotFoundError(name)
        return path
    cached: Path = settings.CACHE_FOLDER / name
    if not cached.exists():
        _fetch(name, cached, sha256)
    return cached


def working_folder(name: str) -> Path:
    """Return a local folder for work on the stored folder `name`, filled with what other machines have shared."""
    if isinstance(default_storage, FileSystemStorage):
        folder = Path(default_storage.path(name))
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    folder = settings.CACHE_FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in default_storage.listdir(name)[1]:
        _fetch(f"{name}/{file}", folder / file, "")
    return folder


def share_folder(name: str, folder: Path) -> None:
    """Store what lies in a working folder, so that another machine can go on from it."""
    if isinstance(default_storage, FileSystemStorage):
        return
    for file in folder.iterdir():
        if not file.name.startswith("."):
            put_file(f"{name}/{file.name}", file)


def delete_folder(name: str) -> None:
    """Delete all that is stored below `name`."""
    try:
        folders, files = default_storage.listdir(name)
    except FileNotFoundError:
        return
    for folder in folders:
        delete_folder(f"{name}/{folder}")
    for file in files:
        default_storage.delete(f"{name}/{file}")


def _fetch(name: str, target: Path, sha256: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file, default_storage.open(name) as source:
            shutil.copyfileobj(source, file)
        with Path(temporary).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if sha256 and found != sha256:
            raise OSError(f"{name} arrived damaged from the store: its SHA-256 is {found}, not {sha256}.")
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
