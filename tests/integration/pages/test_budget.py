"""Each page asks the database a few times, however many rows there are."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from edgewise.accounts.models import User
from runs_app.models import Run
from tests.browser.world import PAGES, World, build_world
from tests.integration.conftest import browser_of

BUDGET = 12


@pytest.fixture
def world(db: None) -> World:
    return build_world()


@pytest.fixture
def reader(world: World) -> Client:
    return browser_of(User.objects.get(email=world.reader))


def queries(client: Client, address: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return [query["sql"] for query in captured]


@pytest.mark.parametrize("name", [name for name in PAGES if name != "not found"])
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
