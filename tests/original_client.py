"""What the original product's unreleased client does, request by request, with the library that it uses.

Written from what its requests look like: it logs in by RFC 8628, reads the schema, checks each query against it, and
takes the first error's message for the reason of everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.requests import RequestsHTTPTransport

GRANT = "urn:ietf:params:oauth:grant-type:device_code"

PROJECTS = "query GetAllProjects { projects { _id name } }"
DATASETS = """
    query GetBasedatas($modelType: ModelType) { baseData(modelType: $modelType) { datasets { _id name } } }
"""
NETWORKS = "query GetAllNetworks($modelType: ModelType!) { networks(modelType: $modelType) { _id name } }"
ADD = """
    mutation AddRun($id: ObjectId!, $modelType: ModelType!) { addRun(project: $id, modelType: $modelType) { _id } }
"""
UPDATE = """
    mutation UpdateRun($id: ObjectId!, $runInput: RunInput!) { updateRun(run: $id, updates: $runInput) { _id } }
"""
START = "mutation StartOptimize($id: ObjectId!) { startOptimize(run: $id) { _id status } }"
RESULTS = """
    query GetResults($id: ObjectId!) { run(_id: $id) { status results { category name value } } }
"""


class AuthenticationError(Exception):
    """What the client makes of every error that the server reports."""


class OriginalClient:
    """Runs by GraphQL."""

    def __init__(self, address: str, token: str) -> None:
        transport = RequestsHTTPTransport(address, headers={"Authorization": f"Bearer {token}"})
        self.client = Client(transport=transport, fetch_schema_from_transport=True)

    def execute(self, document: str, **variables: Any) -> Any:
        """Check a document against the server's schema, then let it be answered."""
        request = gql(document)
        request.variable_values = variables
        try:
            return self.client.execute(request)
        except TransportQueryError as error:
            raise AuthenticationError((error.errors or [{}])[0]["message"]) from error

    def start_training_run(
        self, project: str, hyperparams: Mapping[str, Any], *, hardware: str = "gpu", dataset: str, network: str
    ) -> str:
        """Begin a run, say what it shall be, and start it."""
        run: str = self.execute(ADD, id=project, modelType="KWS")["addRun"]["_id"]
        wanted = {"hyperparams": hyperparams, "hardwareId": hardware, "datasetId": dataset, "networkId": network}
        self.execute(UPDATE, id=run, runInput=wanted)
        self.execute(START, id=run)
        return run


def log_in(post: Callable[[str, dict[str, str]], tuple[int, Any]], wait: Callable[[str], None]) -> str:
    """Get a token; `wait` is called with the address for the user before each question whether it was allowed.

    Raises:
        AuthenticationError: with the server's answer, whatever it is, unless it is a 403 that says to go on.
    """
    asked = {"scope": "read write", "client_id": "my-notebook", "audience": "https://edge.nengo.ai"}
    status, codes = post("/oauth/device/code", asked)
    if status >= 400:
        raise AuthenticationError(codes)
    wanted = {"grant_type": GRANT, "device_code": codes["device_code"], "client_id": "my-notebook"}
    for _ in range(codes["expires_in"] // codes["interval"]):
        wait(codes["verification_uri_complete"])
        status, answer = post("/oauth/token", wanted)
        if status == 200:
            assert 0 < answer["expires_in"] <= 24 * 3600
            return str(answer["access_token"])
        if status != 403 or answer.get("error") != "authorization_pending":
            raise AuthenticationError(answer)
    raise AuthenticationError("Timed out waiting for confirmation.")
