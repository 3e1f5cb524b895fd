"""Jobs in Django's admin, for operators."""

from __future__ import annotations

from django.contrib import admin

from edgewise.jobs.models import LogLine, Outbox, WorkerHeartbeat

admin.site.register(Outbox)
admin.site.register(LogLine)
admin.site.register(WorkerHeartbeat)
