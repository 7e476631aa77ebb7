"""A log hears of every change of the settings that matter, and of none of their values."""

import json
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import transaction

from audit import configuration, sequencing, trail
from audit.events import EventName
from audit.models import Event
from vault.codes import new_code


@pytest.fixture
def log_code() -> str:
    """A log that began."""
    code = new_code()
    with transaction.atomic():
        trail.record(EventName.TRAIL_READ, organization=code, actor=trail.system("tests"))
    sequencing.sequence(code)
    return code


def heard(code: str) -> list[dict[str, Any]]:
    events = Event.objects.filter(log=code, name="audit:configuration:changed").order_by("id")
    return [json.loads(bytes(event.entry))["detail"] for event in events]


def test_a_log_hears_once_what_the_settings_are_and_then_only_what_changes(
    log_code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration.record_changes()
    configuration.record_changes()
    assert [set(one["changed"]) for one in heard(log_code)] == [set(settings.VOXGOV_RECORDED)]
    changed = settings.VOXGOV_RECORDED | {"VOXGOV_AUDIT_DAYS": 400, "VOXGOV_WEBHOOK_LOOPBACK": "of old"}
    monkeypatch.setattr(settings, "VOXGOV_RECORDED", changed)
    configuration.record_changes()
    configuration.record_changes()
    assert [one["changed"] for one in heard(log_code)[1:]] == [["VOXGOV_AUDIT_DAYS", "VOXGOV_WEBHOOK_LOOPBACK"]]
    del changed["VOXGOV_STREAMS"]
    configuration.record_changes()
    assert heard(log_code)[-1]["changed"] == ["VOXGOV_STREAMS"]


def test_no_value_stands_in_the_log(log_code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "VOXGOV_RECORDED", {"VOXGOV_LOG_ORIGIN": "canary.example.org/log"})
    configuration.record_changes()
    event = Event.objects.get(log=log_code, name="audit:configuration:changed")
    assert b"canary" not in bytes(event.entry)


def test_no_secret_is_among_what_is_recorded() -> None:
    written = json.dumps(settings.VOXGOV_RECORDED, default=str)
    assert settings.SECRET_KEY not in written
    assert settings.DATABASES["default"]["PASSWORD"] not in written or not settings.DATABASES["default"]["PASSWORD"]
    assert "token" not in written.lower()


def test_a_sequencer_says_it_when_it_starts_and_the_event_is_sequenced_with_the_others(log_code: str) -> None:
    call_command("sequencer", "--once")
    assert len(heard(log_code)) == 1
    event = Event.objects.get(log=log_code, name="audit:configuration:changed")
    assert event.leaf.index == 1
