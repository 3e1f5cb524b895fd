"""Resources of the platform itself: who asks, tokens, workers and parameters."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from pydantic import BaseModel
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from edgewise.accounts import services
from edgewise.accounts.models import ApiToken, Scope, User, Workspace
from edgewise.api.authentication import user_of, workspace_of
from edgewise.api.requests import RequestSerializer
from edgewise.errors import UnknownAddress
from edgewise.jobs.models import WorkerHeartbeat
from edgewise.spec.dataset import DatasetParameters
from edgewise.spec.fields import declared
from edgewise.spec.recording import RecordingParameters
from edgewise.spec.run import RunParameters
from edgewise.spec.synthesis import SynthesisParameters


class WorkspaceSerializer(serializers.ModelSerializer[Workspace]):
    """A workspace."""

    class Meta:
        model = Workspace
        fields = ["id", "name", "personal"]


class UserSerializer(serializers.ModelSerializer[User]):
    """The user who asks."""

    class Meta:
        model = User
        fields = ["id", "email", "name", "is_staff"]


class MeSerializer(serializers.Serializer[Any]):
    """Who asks, and where."""

    user = UserSerializer()
    workspace = WorkspaceSerializer()


class Me(APIView):
    """Who asks, and in which workspace."""

    @extend_schema(responses=MeSerializer)
    def get(self, request: Request) -> Response:
        """Return the user and the workspace."""
        return Response(MeSerializer({"user": user_of(request), "workspace": workspace_of(request)}).data)


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    """A token, without its secret."""

    class Meta:
        model = ApiToken
        fields = ["id", "name", "scope", "created_at", "expires_at", "last_used_at"]


class NewTokenSerializer(RequestSerializer):
    """What a new token shall be."""

    name = serializers.CharField(max_length=100)
    scope = serializers.ChoiceField(choices=Scope.choices, default=Scope.WRITE)
    expires_in_days = serializers.IntegerField(default=365, allow_null=True)


class CreatedTokenSerializer(TokenSerializer):
    """A new token with its secret, shown this once."""

    token = serializers.CharField()

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "token"]


class Tokens(mixins.ListModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet[ApiToken]):
    """The user's tokens."""

    serializer_class = TokenSerializer
    queryset = ApiToken.objects.none()

    def get_queryset(self) -> QuerySet[ApiToken]:
        """Only the user's own."""
        return ApiToken.objects.filter(user=user_of(self.request))

    def perform_destroy(self, instance: ApiToken) -> None:
        """Revoke a token."""
        services.revoke_token(user_of(self.request), instance.pk)

    @extend_schema(request=NewTokenSerializer, responses={201: CreatedTokenSerializer})
    def create(self, request: Request) -> Response:
        """Make a token; the answer shows its secret this once."""
        wanted = NewTokenSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        token, secret = services.create_token(user_of(request), workspace_of(request), **wanted.validated_data)
        return Response({**TokenSerializer(token).data, "token": secret}, status=status.HTTP_201_CREATED)


class WorkerSerializer(serializers.ModelSerializer[WorkerHeartbeat]):
    """A worker."""

    class Meta:
        model = WorkerHeartbeat
        fields = ["name", "queue", "seen_at", "started_at", "doing"]


class Workers(mixins.ListModelMixin, viewsets.GenericViewSet[WorkerHeartbeat]):
    """Workers and when they were last heard."""

    serializer_class = WorkerSerializer
    queryset = WorkerHeartbeat.objects.order_by("name")
    pagination_class = None


class Workspaces(mixins.ListModelMixin, viewsets.GenericViewSet[Workspace]):
    """Workspaces of the user."""

    serializer_class = WorkspaceSerializer
    queryset = Workspace.objects.none()
    pagination_class = None

    def get_queryset(self) -> QuerySet[Workspace]:
        """Only those the user is a member of."""
        return user_of(self.request).workspaces.order_by("name")


class Elsewhere(APIView):
    """All addresses that the API does not have."""

    schema = None
    authentication_classes = ()
    permission_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer every method with the same problem."""
        raise UnknownAddress(request.path)


class Parameters(APIView):
    """All parameters with their bounds, defaults and explanations."""

    @extend_schema(responses={200: dict[str, list[dict[str, Any]]]})
    def get(self, request: Request) -> Response:
        """Return the declared parameters of synthetic speech, recordings, datasets and runs."""
        models: dict[str, type[BaseModel]] = {
            "synthesis": SynthesisParameters,
            "recording": RecordingParameters,
            "dataset": DatasetParameters,
            "run": RunParameters,
        }
        return Response(
            {name: [dataclasses.asdict(item) for item in declared(model)] for name, model in models.items()}
        )
