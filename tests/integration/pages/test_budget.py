"""Each page asks the database a few times, however many rows there are."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from edgewise.accounts.models import User
from runs_app.models import Run
from tests.browser.world import World, build_world

BUDGET = 12
PAGES = [
    "datasets", "raw data", "dataset", "examples", "clips", "map", "edits", "new dataset without scripts",
    "synthesize without scripts",
    "begin recording without scripts", "record", "runs",
    "new run", "configuration", "progress", "results", "no results", "try", "deploy", "account",
]  # fmt: skip


@pytest.fixture
def world(db: None) -> World:
    return build_world()


@pytest.fixture
def reader(world: World) -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get(email=world.reader))
    return client


def queries(client: Client, address: str) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(address).status_code == 200
    return [query["sql"] for query in captured]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_stays_in_its_budget(reader: Client, world: World, name: str) -> None:
    asked = queries(reader, world.pages[name])
    assert len(asked) <= BUDGET, "\n".join(asked)


def test_many_runs_cost_no_more_queries(reader: Client, world: World) -> None:
    few = queries(reader, "/runs/")
    origin = Run.objects.get(pk=world.finished)
    values = {field.name: getattr(origin, field.name) for field in Run._meta.fields if field.name not in ("id", "name")}
    Run.objects.bulk_create(Run(name=f"Copy {number}", **values) for number in range(300))
    assert len(queries(reader, "/runs/")) == len(few)
    assert len(queries(reader, f"/runs/?project={world.project}")) == len(few)
