"""How quick the pages of the clip explorer are over many clips, on the real PostgreSQL.

The one bench that knows Django and the apps: what it measures is a request. Its database must be empty.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import django
import numpy as np

from workers.bench.figures import Figure

ROUNDS = 15
MOST_MILLISECONDS = 200
FEW_CLIPS = 1_000
LABELS = 35
SPEAKERS = 2_500
SAMPLES = 16_000
EXCLUDED = 500
AT_ONCE = 5_000
"""Rows in one statement."""

PAGES = {
    "raw_data": "",
    "clips": "clips",
    "clips_in_the_middle": "clips?order=longest&after={middle}",
    "clips_of_a_label": "clips?label=word7",
    "clips_found_by_name": "clips?search=7/17",
    "clips_of_a_speaker": "clips?speaker=s12",
    "clips_by_level": "clips?order=quietest",
    "clips_excluded": "clips?state=excluded",
    "edits": "edits",
}
"""Pages by the names of their figures: addresses below that of the raw data."""


def measure(clips: int) -> list[Figure]:
    """Ask for each page of raw data with few clips and with `clips` of them.

    Returns:
        the time of a request for each page, the queries of the page that makes most, and by how many a page of many
        clips makes more than that of few.
    """
    django.setup()
    # Importable only when Django is ready.
    from django.conf import settings
    from django.core.management import call_command
    from django.test import override_settings

    from edgewise.accounts.models import User
    from edgewise.accounts.services import give_personal_workspace

    call_command("migrate", verbosity=0)
    user = User.objects.create(email="bench@localhost")
    give_personal_workspace(user)
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    # Nobody collected and hashed the static files of a bench.
    with override_settings(STORAGES={**settings.STORAGES, "staticfiles": plain}):
        few, many = (dict(_requests(user, _raw_data(user, count))) for count in (FEW_CLIPS, clips))
    more = max(many[page].queries - few[page].queries for page in PAGES)
    return [
        *(_figure(page, requests.milliseconds) for page, requests in many.items()),
        Figure("most_queries", max(requests.queries for requests in many.values())),
        Figure("more_queries", more, f"than for {FEW_CLIPS:,} clips", at_most=0),
    ]


def _figure(page: str, milliseconds: list[float]) -> Figure:
    spread = max(milliseconds) / min(milliseconds)
    return Figure(page, median(milliseconds), "ms", spread, at_most=MOST_MILLISECONDS)


@dataclass(frozen=True)
class Requests:
    """Requests of one page: without the first, which warms up, and the queries that this one made."""

    milliseconds: list[float]
    queries: int


def _requests(user: Any, raw_data: Any) -> Iterator[tuple[str, Requests]]:
    """Yield the requests of each page."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    browser = Client(headers={"host": "localhost"})
    browser.force_login(user)
    middle = raw_data.clips.order_by("length")[raw_data.clip_count // 2].pk
    for page, address in PAGES.items():
        address = f"/datasets/raw/{raw_data.pk}/{address.format(middle=middle)}"
        with CaptureQueriesContext(connection) as captured:
            answer = browser.get(address)
        queries = len(captured)  # read now: the next request forgets them
        if answer.status_code != 200:
            raise RuntimeError(f"{address} answered {answer.status_code}.")
        milliseconds = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            browser.get(address)
            milliseconds.append(1000 * (time.perf_counter() - begin))
        yield page, Requests(milliseconds, queries)


def _raw_data(user: Any, count: int) -> Any:
    """Make raw data of rows alone, as an import writes them, some of its clips excluded."""
    from django.db import connection
    from django.utils import timezone

    from datasets_app import edits
    from datasets_app.models import Clip, ClipKind, Origin, RawData, RawDataImport, Source, Split
    from edgewise.jobs.models import State

    chance = np.random.default_rng(count)
    splits = chance.choice(Split.values, count, p=(0.8, 0.1, 0.1)).tolist()
    lengths = chance.integers(SAMPLES // 2, SAMPLES, count).tolist()
    levels = chance.uniform(-50, -10, count).tolist()
    workspace = user.workspaces.get()
    raw_data = RawData.objects.create(
        workspace=workspace, created_by=user, name=f"{count} clips", origin=Origin.UPLOADED, clip_count=count,
        label_counts={f"word{label}": dict.fromkeys(Split.values, 1) for label in range(LABELS)},
    )  # fmt: skip
    RawDataImport.objects.create(
        workspace=workspace, raw_data=raw_data, source=Source.PATH, state=State.SUCCEEDED, finished_at=timezone.now()
    )
    clips = (
        Clip(
            raw_data=raw_data, name=f"word{n % LABELS}/{n}.wav", kind=ClipKind.WORD, label=f"word{n % LABELS}",
            speaker=f"s{n % SPEAKERS}", split=splits[n], offset=n * SAMPLES, length=lengths[n], sample_rate=SAMPLES,
            peak_dbfs=levels[n] + 10, rms_dbfs=levels[n],
        )
        for n in range(count)
    )  # fmt: skip
    Clip.objects.bulk_create(clips, batch_size=AT_ONCE)
    excluded = list(raw_data.clips.values_list("pk", flat=True)[:EXCLUDED])
    edits.exclude_clips(workspace=workspace, user=user, raw_data=raw_data, clips=excluded)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # what the server does by itself soon after an import
    return raw_data
