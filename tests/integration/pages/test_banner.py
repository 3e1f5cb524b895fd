"""Every page says when no worker takes work."""

from __future__ import annotations

import datetime

from django.test import Client
from django.utils import timezone

from edgewise.jobs.context import SILENT_AFTER
from edgewise.jobs.models import Queue, WorkerHeartbeat

BANNER = "./edgewise up"


def hear_from(queue: Queue, ago: datetime.timedelta) -> None:
    seen = timezone.now() - ago
    WorkerHeartbeat.objects.create(name=f"{queue}@here", queue=queue, seen_at=seen, started_at=seen)


def test_silence_is_said_with_the_command_that_ends_it(browser: Client) -> None:
    for queue in Queue:
        hear_from(queue, SILENT_AFTER + datetime.timedelta(seconds=1))
    assert BANNER in browser.get("/runs/").text


def test_workers_that_answer_need_no_words(browser: Client) -> None:
    for queue in Queue:
        hear_from(queue, datetime.timedelta(seconds=1))
    assert BANNER not in browser.get("/runs/").text


def test_an_open_page_hears_of_it(browser: Client) -> None:
    assert BANNER in browser.get("/status/workers").text
    for queue in Queue:
        hear_from(queue, datetime.timedelta(seconds=1))
    assert BANNER not in browser.get("/status/workers").text


def test_a_page_whose_session_ended_keeps_its_banner(browser: Client) -> None:
    browser.logout()
    assert browser.get("/status/workers").status_code == 204
