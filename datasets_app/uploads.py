"""What users do with an archive that is on its way to the server.

An upload is a row, and a file that only grows. How much has arrived is what the file system says: nothing has to be
written twice, and after a crash the next byte is the one behind the last that is on the disk.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import shutil
from pathlib import PurePath
from uuid import UUID

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from datasets_app import services
from datasets_app.models import RawData, Upload
from edgewise import storage
from edgewise.accounts.models import User, Workspace
from edgewise.errors import Conflict, DiskFull, Invalid, NotFound

LIFETIME = datetime.timedelta(days=7)
"""How long an upload waits for its next byte."""
LONGEST_FILE_NAME = 255
"""Bytes, as file systems count."""
MAKE_ROOM = "Ask the operator to make room, then resume the upload: what has arrived is kept until it expires."


def begin_upload(*, workspace: Workspace, user: User, name: str, file_name: str, size: int) -> Upload:
    """Make room for an archive of `size` bytes.

    Args:
        name: of the raw data whose import the last byte begins; without one the upload waits for `import_upload`.
        file_name: of the archive, for people to recognise it.

    Raises:
        Invalid: the archive is empty, or a name is wrong or taken.
        TooLarge: the archive is larger than this server takes.
        DiskFull: there is no room for it.
    """
    delete_expired()
    file_name = _checked_file_name(file_name)
    services.check_size(file_name, size)
    name = services.check_raw_data_name(workspace, name) if name.strip() else ""
    settings.UPLOAD_FOLDER.mkdir(parents=True, exist_ok=True)
    if size > (free := shutil.disk_usage(settings.UPLOAD_FOLDER).free):
        raise DiskFull(
            f"The archive holds {size / 2**30:.1f} GiB, and the server has room for {free / 2**30:.1f} GiB.",
            "Ask the operator to make room, or upload the archive in parts.",
        )
    upload = Upload.objects.create(
        workspace=workspace, created_by=user, name=name, file_name=file_name, size=size, expires_at=_expiry()
    )
    upload.path.touch()
    return upload


def append(upload: Upload, offset: int, content: bytes) -> Upload:
    """Write `content` behind what has arrived, and flush it to the disk.

    The last byte begins the import, where the upload has a name.

    Args:
        offset: of the first byte of `content` in the archive.

    Raises:
        Conflict: the upload does not stand at `offset`.
        Invalid: there are more bytes than the upload was said to have; or its name was taken meanwhile.
        DiskFull: there is no more room; what did fit is kept.
        QueueFull: all bytes are here, but too many imports wait already.
    """
    with transaction.atomic():
        upload = _locked(upload.pk)
        received = upload.received
        if offset != received:
            raise Conflict(
                f"The upload stands at byte {received:,}, and these bytes begin at {offset:,}.",
                "Ask for the offset by HEAD, and go on from there.",
            )
        if offset + len(content) > upload.size:
            raise Invalid(
                {},
                f"The upload was announced with {upload.size:,} bytes, and these reach to {offset + len(content):,}.",
                "Begin a new upload with the true length.",
            )
        if content:
            _write(upload, content)
            upload.expires_at = _expiry()
            upload.save(update_fields=["expires_at"])
    return finish(upload)


def finish(upload: Upload) -> Upload:
    """Begin the import of a complete upload that has a name and waits.

    The server may be killed between the last byte and the import, so this is tried whenever the client comes back.

    Raises:
        Invalid: the name was taken meanwhile.
        QueueFull: too many imports wait already.
    """
    if upload.name and not upload.raw_data_id and upload.received == upload.size:
        try:
            import_upload(upload, upload.name)
        except Invalid as error:
            raise Invalid(
                error.fields, error.reason, "All bytes have arrived: import the upload under another name."
            ) from error
        upload.refresh_from_db()
    return upload


def import_upload(upload: Upload, name: str) -> RawData:
    """Queue the import of a complete upload.

    Raises:
        Conflict: bytes are missing, or the upload is raw data already.
        Invalid: the name is missing or taken.
        QueueFull: too many imports wait already.
    """
    with transaction.atomic():
        upload = _locked(upload.pk)
        if upload.raw_data_id:
            raise Conflict("This upload is raw data already.", "Upload the archive again to import it twice.")
        if (received := upload.received) < upload.size:
            raise Conflict(
                f"Only {received:,} of {upload.size:,} bytes have arrived.", "Send the others first, then import it."
            )
        upload.raw_data = services.import_stored_archive(
            workspace=upload.workspace, user=upload.created_by, name=name, location=upload.location
        )
        upload.save(update_fields=["raw_data"])
        # Last, so that whatever else fails leaves the bytes where they are; after a crash just here they are in the
        # store already.
        if upload.path.exists():
            storage.adopt_file(upload.location, upload.path)
    return upload.raw_data


def discard(upload: Upload) -> None:
    """Forget an upload; raw data that was made of it stays."""
    with transaction.atomic():
        upload = _locked(upload.pk)
        # Not by the row itself, which would lose its id, and with it the names of its files.
        Upload.objects.filter(pk=upload.pk).delete()
    upload.path.unlink(missing_ok=True)
    if not upload.raw_data_id:
        default_storage.delete(upload.location)


def delete_expired() -> None:
    """Delete uploads that nobody went on with, and bytes that belong to none.

    The worker that calls this regularly may be another machine than the web, which therefore calls it too.
    """
    for upload in Upload.objects.filter(expires_at__lt=timezone.now()):
        with contextlib.suppress(NotFound):
            discard(upload)
    # The files first: one that has come since then has a row.
    files = list(settings.UPLOAD_FOLDER.glob("*"))
    expected = {str(key) for key in Upload.objects.values_list("pk", flat=True)}
    for file in files:
        if file.name not in expected:
            file.unlink(missing_ok=True)


def _locked(upload_id: UUID) -> Upload:
    """Read the row for one writer at a time, in the caller's transaction."""
    upload = Upload.objects.select_for_update(of=("self",)).select_related("workspace").filter(pk=upload_id).first()
    if upload is None:
        raise NotFound("upload")
    return upload


def _write(upload: Upload, content: bytes) -> None:
    try:
        with upload.path.open("ab", buffering=0) as file:
            rest = memoryview(content)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull("The server has no more room.", MAKE_ROOM) from error


def _checked_file_name(name: str) -> str:
    name = PurePath(name.strip().replace("\\", "/")).name
    if not name.isprintable() or len(name.encode()) > LONGEST_FILE_NAME:
        raise Invalid({"filename": f"The name of a file has at most {LONGEST_FILE_NAME} bytes, all of them visible."})
    return "archive" if name in ("", "..") else name


def _expiry() -> datetime.datetime:
    return timezone.now() + LIFETIME
