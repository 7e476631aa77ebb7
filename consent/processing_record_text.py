"""The record of processing activities for people to read: Markdown, one section for each purpose, each line with its article."""

from collections.abc import Iterable, Iterator

from consent.processing_record import ARTICLES, Activity, PartyBody, ProcessingRecord

MEDIA_TYPE = "text/markdown"


def as_text(record: ProcessingRecord) -> str:
    return "\n".join(_lines(record)) + "\n"


def _lines(record: ProcessingRecord) -> Iterator[str]:
    yield f"# Record of processing activities: {_plain(record.organization)}, {_plain(record.project_name)}"
    yield ""
    yield f"{record.citation}. Generated {record.generated_at:%Y-%m-%d %H:%M:%S} UTC. Project `{record.project}`."
    yield "" if record.complete else "\n**Incomplete:** what is missing is said with each activity."
    for activity in record.activities:
        yield from _activity(activity)
    yield ""
    yield f"## Security measures ({ARTICLES['security_measures']})"
    yield ""
    yield from (f"- {measure.description} ({measure.article})" for measure in record.security_measures)
    yield f"- {record.outside}"


def _activity(activity: Activity) -> Iterator[str]:
    aim, categories, transfers = activity.purpose, activity.categories, activity.transfers
    yield ""
    yield f"## {_plain(aim.name)}" + ("" if aim.active else " (closed)")
    yield ""
    yield from (f"- **Missing** ({missing.article}): {missing.message}" for missing in activity.missing)
    yield _line("parties", "Controllers", _parties(activity.parties.controllers) or "none named")
    yield _line("parties", "Representatives", _parties(activity.parties.representatives) or "none named")
    yield _line("parties", "Data protection officers", _parties(activity.parties.protection_officers) or "none named")
    yield _line("purpose", "Purpose", f"{_plain(aim.description or aim.name)} (`{aim.code}`)")
    yield _line("purpose", "Lawful basis", aim.lawful_basis.replace("_", " "))
    yield _line("purpose", "Impact assessment", _plain(aim.impact_assessment) or "none named")
    yield _line("categories", "People", "; ".join(people.description for people in categories.people))
    yield _line("categories", "Recorded so far as", ", ".join(categories.roles) or "nobody was recorded yet")
    kinds = (f"{kind.description}{' (special category)' * kind.special_category}" for kind in categories.personal_data)
    yield _line("categories", "Personal data", "; ".join(kinds))
    models = (f"{use.name} {use.version} for {use.scope}" for use in categories.models)
    yield _line("categories", "Models that made results", "; ".join(models) or "none yet")
    yield _line("recipients", "Recipients", _recipients(activity))
    yield _line("transfers", "Data lies and is processed in", ", ".join(transfers.places) or "not stated")
    yield _line("transfers", "Third countries", ", ".join(transfers.third_countries) or "none named")
    yield _line("transfers", "Safeguards", _plain(transfers.safeguards) or "none stated")
    limits = (
        f"{limit.category.replace('_', ' ')}: {'until erasure' if limit.days is None else f'{limit.days} days'}"
        for limit in activity.time_limits
    )
    yield _line("time_limits", "Erased after", "; ".join(limits))


def _line(field: str, label: str, value: str) -> str:
    return f"- {label} ({ARTICLES[field]}): {value}"


def _recipients(activity: Activity) -> str:
    named = [_plain(name) for name in activity.recipients.named]
    return "; ".join([*named, *_each(activity.recipients.processors)]) or "none named"


def _parties(parties: Iterable[PartyBody]) -> str:
    return "; ".join(_each(parties))


def _each(parties: Iterable[PartyBody]) -> list[str]:
    return [_plain(f"{party['name']}, {party['address']}, {party['contact']}") for party in parties]


def _plain(text: str) -> str:
    """On one line: what somebody typed begins no heading and no list."""
    return " ".join(text.split())
