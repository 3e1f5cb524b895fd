"""REST resource of the edits of raw data."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from datasets_app import edits, queries
from datasets_app.models import ClipEdit, EditAction
from edgewise.api.authentication import user_of, workspace_of
from edgewise.api.idempotency import idempotent
from edgewise.api.requests import RequestSerializer
from edgewise.lookup import as_id


class EditSerializer(serializers.ModelSerializer[ClipEdit]):
    """An edit: what was done to how many clips, by whom. Its clips are those of `clips?edit=<id>`."""

    author = serializers.EmailField(source="created_by.email", read_only=True, default=None)
    undone_by = serializers.PrimaryKeyRelatedField[ClipEdit](read_only=True, default=None)

    class Meta:
        model = ClipEdit
        fields = [
            "id", "revision", "action", "label", "reason", "clip_count", "undoes", "undone_by", "author", "created_at",
        ]  # fmt: skip


class NewEditSerializer(RequestSerializer):
    """What shall be done to which clips."""

    action = serializers.ChoiceField(choices=[one for one in EditAction.choices if one[0] != EditAction.UNDO])
    clips = serializers.ListField(child=serializers.UUIDField())
    label = serializers.CharField(required=False, default="", allow_blank=True, help_text="Of a relabel.")  # type: ignore[assignment]
    reason = serializers.CharField(required=False, default="", allow_blank=True, help_text="For the history.")


class EditResource(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[ClipEdit]):
    """The workspace's edits of one raw data, newest first. They lie over the clips, which never change themselves."""

    serializer_class = EditSerializer
    queryset = ClipEdit.objects.none()
    filterset_fields = ["action", "revision"]

    def get_queryset(self) -> QuerySet[ClipEdit]:
        """Those of the raw data in the address, if the workspace sees it."""
        workspace = workspace_of(self.request)
        raw_data = queries.raw_data(workspace, self.kwargs["raw_data"])
        rows = ClipEdit.objects.filter(workspace=workspace, raw_data=raw_data)
        return rows.select_related("created_by", "undone_by", "workspace", "raw_data")

    @extend_schema(request=NewEditSerializer, responses={201: EditSerializer})
    @idempotent
    def create(self, request: Request, raw_data: str) -> Response:
        """Exclude clips, take them in again, or relabel them."""
        workspace = workspace_of(request)
        row = queries.raw_data(workspace, as_id(raw_data))
        wanted = NewEditSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        edit = edits.edit_clips(workspace=workspace, user=user_of(request), raw_data=row, **wanted.validated_data)
        return Response(EditSerializer(edit).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses={201: EditSerializer})
    @action(detail=True, methods=["post"], filter_backends=[])
    @idempotent
    def undo(self, request: Request, raw_data: str, pk: str) -> Response:
        """Take an edit back, as a new edit; edits that came after it stay."""
        edit = edits.undo_edit(edit=self.get_object(), user=user_of(request))
        return Response(EditSerializer(edit).data, status=status.HTTP_201_CREATED)
