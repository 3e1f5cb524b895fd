"""Uploads by tus 1.0 (https://tus.io/protocols/resumable-upload): core, creation, termination, checksum, expiration.

`edgewise.streaming` cuts the bodies of large `PATCH` requests into pieces before they come here.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import http_date
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from datasets_app import uploads
from datasets_app.models import Upload
from edgewise.api.authentication import user_of, workspace_of
from edgewise.errors import ChecksumMismatch, Invalid, TooLarge, UserError, WrongType, WrongVersion

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,checksum,expiration"
CHECKSUMS = {"sha1", "sha256"}
CHUNK_TYPE = "application/offset+octet-stream"
LARGEST_CHECKED_CHUNK = 16 * 2**20
"""Bytes that are held in memory until their checksum has been compared."""

TUS_RESUMABLE = OpenApiParameter(
    "Tus-Resumable", location=OpenApiParameter.HEADER, required=True, enum=[VERSION],
    description="Version of the protocol.",
)  # fmt: skip


class UploadSerializer(serializers.ModelSerializer[Upload]):
    """An upload and how much of it has arrived."""

    received = serializers.IntegerField(read_only=True)

    class Meta:
        model = Upload
        fields = ["id", "name", "file_name", "size", "received", "raw_data", "created_at", "expires_at"]


class UploadResource(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet[Upload]
):
    """The workspace's uploads: any client of tus 1.0 can begin one, interrupt it and go on."""

    serializer_class = UploadSerializer
    queryset = Upload.objects.none()

    def get_queryset(self) -> QuerySet[Upload]:
        """Only the workspace's own."""
        return Upload.objects.filter(workspace=workspace_of(self.request))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse another version of the protocol; plain reading needs none."""
        super().initial(request, *args, **kwargs)
        if request.method not in ("GET", "OPTIONS") and request.headers.get("Tus-Resumable") != VERSION:
            raise WrongVersion(
                "The header Tus-Resumable does not name the version of the protocol that this server speaks.",
                f"Send `Tus-Resumable: {VERSION}` with every request.",
            )

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Name the version of the protocol."""
        response.headers["Tus-Resumable"] = VERSION
        if response.status_code == WrongVersion.status:
            response.headers["Tus-Version"] = VERSION
        return super().finalize_response(request, response, *args, **kwargs)

    @extend_schema(exclude=True)
    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        """Tell what this server can."""
        headers = {
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(settings.MAX_UPLOAD),
            "Tus-Checksum-Algorithm": ",".join(sorted(CHECKSUMS)),
        }
        return Response(status=status.HTTP_204_NO_CONTENT, headers=headers)

    @extend_schema(
        request=None,
        parameters=[
            TUS_RESUMABLE,
            OpenApiParameter(
                "Upload-Length", OpenApiTypes.INT, OpenApiParameter.HEADER, required=True,
                description="Bytes of the archive.",
            ),
            OpenApiParameter(
                "Upload-Metadata", location=OpenApiParameter.HEADER,
                description="Keys with base64-encoded values, separated by commas. `filename`: name of the archive. "
                "`name`: name of the raw data whose import the last byte begins; without it the complete upload waits "
                "for `POST /raw-data` with its id as `upload`.",
            ),
            OpenApiParameter("Location", location=OpenApiParameter.HEADER, response=[201], description="The upload."),
        ],
        responses={201: UploadSerializer},
    )  # fmt: skip
    def create(self, request: Request) -> Response:
        """Begin an upload."""
        metadata = _metadata(request.headers.get("Upload-Metadata", ""))
        upload = uploads.begin_upload(
            workspace=workspace_of(request),
            user=user_of(request),
            name=metadata.get("name", ""),
            file_name=metadata.get("filename", ""),
            size=_number(request, "Upload-Length"),
        )
        headers = {**_state(upload), "Location": request.build_absolute_uri(reverse("upload-detail", args=[upload.pk]))}
        return Response(UploadSerializer(upload).data, status=status.HTTP_201_CREATED, headers=headers)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Tell how much has arrived: in the body, and by HEAD in `Upload-Offset`."""
        upload = self.get_object()
        if request.method == "HEAD":
            # Whoever asks so wants to go on; what is wrong with the import, PATCH says.
            with contextlib.suppress(UserError):
                upload = uploads.finish(upload)
        return Response(UploadSerializer(upload).data, headers={**_state(upload), "Cache-Control": "no-store"})

    @extend_schema(
        request={CHUNK_TYPE: OpenApiTypes.BINARY},
        parameters=[
            TUS_RESUMABLE,
            OpenApiParameter(
                "Upload-Offset", OpenApiTypes.INT, OpenApiParameter.HEADER, required=True,
                description="Place of the first byte in the archive: as many as have arrived.",
            ),
            OpenApiParameter(
                "Upload-Checksum", location=OpenApiParameter.HEADER,
                description="`sha1` or `sha256`, a space, and the base64-encoded hash of the body, which then has at "
                f"most {LARGEST_CHECKED_CHUNK // 2**20} MiB.",
            ),
        ],
        responses={204: None},
    )  # fmt: skip
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Send the next bytes. What arrives of a request that breaks off is kept."""
        if request.content_type != CHUNK_TYPE:
            raise WrongType(f"The body is not {CHUNK_TYPE}.", "Send the bytes as they are, under this Content-Type.")
        offset = _number(request, "Upload-Offset")
        upload = uploads.append(self.get_object(), offset, _chunk(request))
        return Response(status=status.HTTP_204_NO_CONTENT, headers=_state(upload))

    def perform_destroy(self, instance: Upload) -> None:
        """Forget an upload."""
        uploads.discard(instance)


def _state(upload: Upload) -> dict[str, str]:
    """The headers that tell how far an upload is."""
    metadata = {"filename": upload.file_name, "name": upload.name}
    return {
        "Upload-Offset": str(upload.received),
        "Upload-Length": str(upload.size),
        "Upload-Expires": http_date(upload.expires_at.timestamp()),
        "Upload-Metadata": ",".join(
            f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in metadata.items() if value
        ),
    }


def _number(request: Request, header: str) -> int:
    """Read a header that holds a number of bytes."""
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise Invalid({header: f"The header {header} must hold a number of bytes; it holds {text[:50]!r}."})
    return int(text)


def _metadata(header: str) -> dict[str, str]:
    """Read the keys and the base64-encoded texts of `Upload-Metadata`."""
    found: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in header.split(","))):
        key, _, value = item.partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            problem = f"The value of {key[:50]!r} must be a UTF-8 text, encoded by base64."
            raise Invalid({"Upload-Metadata": problem}) from error
        if key in ("name", "filename") and not found[key].isprintable():
            raise Invalid({"Upload-Metadata": f"The value of {key!r} holds characters that cannot be seen."})
    return found


def _chunk(request: Request) -> bytes:
    """Read the body, and compare it with its checksum where there is one.

    Raises:
        TooLarge: a chunk with a checksum is larger than what is held in memory.
        ChecksumMismatch: the body is not what was sent.
    """
    content: bytes = request._request.read(LARGEST_CHECKED_CHUNK + 1)
    if len(content) > LARGEST_CHECKED_CHUNK:
        raise TooLarge(
            f"A chunk with a checksum may have {LARGEST_CHECKED_CHUNK // 2**20} MiB.",
            "Send smaller chunks, or leave the checksum out.",
        )
    if "Upload-Checksum" not in request.headers:
        return content
    algorithm, _, expected = request.headers["Upload-Checksum"].partition(" ")
    if algorithm not in CHECKSUMS:
        raise Invalid({"Upload-Checksum": f"Use one of {', '.join(sorted(CHECKSUMS))}."})
    computed = base64.b64encode(hashlib.new(algorithm, content).digest()).decode()
    if computed != expected.strip():
        raise ChecksumMismatch("The bytes changed on the way; nothing of them was kept.", "Send them again.")
    return content
