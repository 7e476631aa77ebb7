"""How the admin pages show things: codes, times, states. Everything is escaped here, so that no page builds HTML from text."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

NOTHING = "–"


class Tone(StrEnum):
    """How a state looks: the word is always there too, colour says nothing alone."""

    GOOD = "good"
    BAD = "bad"
    WAITING = "waiting"
    ENDED = "ended"


def badge(text: str, tone: Tone) -> SafeString:
    return format_html('<span class="vg-badge vg-{}">{}</span>', tone.value, text)


def badges(items: Iterable[tuple[str, Tone]]) -> SafeString:
    shown = format_html_join(" ", "{}", ((badge(text, tone),) for text, tone in items))
    return shown or SafeString(NOTHING)


def code(value: object) -> SafeString:
    return format_html('<code class="vg-code">{}</code>', value) if value else SafeString(NOTHING)


def short_code(value: object) -> SafeString:
    """The last twelve characters, which are random in a UUIDv7; the whole code is in the row's link and on pointing."""
    return (
        format_html('<code class="vg-code" title="{}">…{}</code>', value, str(value)[-12:])
        if value
        else SafeString(NOTHING)
    )


def moment(value: datetime | None) -> str:
    """UTC, to the minute: what a list needs."""
    return NOTHING if value is None else value.strftime("%Y-%m-%d %H:%M UTC")


def exact_moment(value: datetime | None) -> str:
    return NOTHING if value is None else value.strftime("%Y-%m-%d %H:%M:%S UTC")


def words(text: str) -> str:
    """`web_form` as "web form"."""
    return text.replace("_", " ")


def part(template: str, **context: Any) -> SafeString:
    """A piece of a page from its own template, escaped by it."""
    return SafeString(render_to_string(f"admin/parts/{template}.html", context))


def colleague(names: Mapping[str, str], kind: str, who: str) -> SafeString:
    """Whoever did something, by name where the viewer may know it (`admin_people`), otherwise by code."""
    return part("actor", kind="program" if kind == "client" else "", code=who, name=names.get(who, ""))


def counts(items: Mapping[str, Any]) -> SafeString:
    shown = format_html_join("", "<li>{}: {}</li>", ((words(name), number) for name, number in sorted(items.items())))
    return format_html('<ul class="vg-plain">{}</ul>', shown) if shown else SafeString(NOTHING)
