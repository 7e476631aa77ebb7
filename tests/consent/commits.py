"""What was committed, in the order in which it was committed, and whether any result in it lacked consent.

A witness of its own: triggers that only tests install note each change at the very end of its transaction, under a lock that is
held until the commit is through, so that the numbers are the order of the commits. The judge goes through the notes and knows
nothing of the gate, its epochs or its decisions.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Superuser = Callable[[str], list[tuple[object, ...]]]

_WATCHED = {
    "consent_grant": "INSERT",
    "consent_currentgrant": "INSERT OR UPDATE",
    "consent_noticeseries": "INSERT OR UPDATE",
    "consent_purpose": "INSERT OR UPDATE",
    "consent_subject": "INSERT OR UPDATE",
    "consent_representation": "INSERT OR UPDATE",
    "consent_restrictedrole": "INSERT",
    "consent_rolechange": "INSERT OR UPDATE",
    "consent_grantuse": "INSERT",
    "analysis_result": "INSERT",
}
_INSTALL = """
CREATE TABLE test_commits (
    number bigserial PRIMARY KEY, at timestamptz NOT NULL, kind text NOT NULL, body jsonb NOT NULL, more jsonb
);
CREATE FUNCTION test_note_commit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE more jsonb;
BEGIN
    PERFORM pg_advisory_xact_lock(7777);
    IF TG_TABLE_NAME = 'consent_grant' THEN
        SELECT to_jsonb(record) || jsonb_build_object('version', notice.version, 'series', notice.series_id) INTO more
        FROM consent_consentrecord AS record JOIN consent_notice AS notice ON notice.id = record.notice_id
        WHERE record.id = NEW.record_id;
    ELSIF TG_TABLE_NAME = 'analysis_result' THEN
        SELECT jsonb_build_object('recording', recording.code, 'purpose', recording.purpose_id,
            'recorded_at', recording.recorded_at,
            'people', (SELECT jsonb_agg(jsonb_build_object('subject', person.subject_id, 'role', person.role))
                FROM analysis_result_participants AS link
                JOIN analysis_participant AS person ON person.id = link.participant_id WHERE link.result_id = NEW.id))
        INTO more
        FROM analysis_analysis AS job JOIN analysis_recording AS recording ON recording.id = job.recording_id
        WHERE job.id = NEW.analysis_id;
    END IF;
    INSERT INTO test_commits (at, kind, body, more) VALUES (clock_timestamp(), TG_TABLE_NAME, to_jsonb(NEW), more);
    RETURN NULL;
END $$;
"""


@dataclass(frozen=True)
class Commit:
    """One row that was committed. `more` is what else must be known of it."""

    number: int
    at: datetime
    kind: str
    body: dict[str, Any]
    more: dict[str, Any]


@contextmanager
def witnessed(superuser: Superuser) -> Iterator[Callable[[], list[Commit]]]:
    """Notes what is committed inside the block; gives what was noted so far."""
    superuser(_INSTALL)
    for table, when in _WATCHED.items():
        superuser(
            f"CREATE CONSTRAINT TRIGGER test_note AFTER {when} ON {table} DEFERRABLE INITIALLY DEFERRED"
            f" FOR EACH ROW EXECUTE FUNCTION test_note_commit()"
        )
    try:
        yield lambda: [
            Commit(number, at, kind, body, more or {})  # type: ignore[arg-type]
            for number, at, kind, body, more in superuser("SELECT * FROM test_commits ORDER BY number")
        ]
    finally:
        for table in _WATCHED:
            superuser(f"DROP TRIGGER test_note ON {table}")
        superuser("DROP FUNCTION test_note_commit(); DROP TABLE test_commits")


@dataclass
class _Known:
    """What stands, as of some commit. Rows by number."""

    grants: dict[int, Commit] = field(default_factory=dict)
    current: dict[tuple[int, int, str], int] = field(default_factory=dict)
    least: dict[int, int] = field(default_factory=dict)
    open: dict[int, bool] = field(default_factory=dict)
    subjects: dict[int, dict[str, Any]] = field(default_factory=dict)
    representations: dict[int, dict[str, Any]] = field(default_factory=dict)
    said_roles: dict[int, set[str]] = field(default_factory=dict)
    denied_roles: dict[int, set[str]] = field(default_factory=dict)
    approved_roles: dict[int, set[str]] = field(default_factory=dict)
    uses: dict[int, set[str]] = field(default_factory=dict)


def violations(commits: Iterable[Commit]) -> list[str]:
    """Every result that was committed while consent to it was not valid, and every use beyond what was granted."""
    known = _Known()
    found = []
    for commit in commits:
        body = commit.body
        match commit.kind:
            case "consent_grant":
                known.grants[body["id"]] = commit
            case "consent_currentgrant":
                known.current[body["subject_id"], body["purpose_id"], body["scope"]] = body["grant_id"]
            case "consent_noticeseries":
                known.least[body["id"]] = body["least_valid_version"]
            case "consent_purpose":
                known.open[body["id"]] = body["active"]
            case "consent_subject":
                known.subjects[body["id"]] = body
                known.denied_roles.setdefault(body["id"], set()).update(known.said_roles.pop(body["id"], ()))
            case "consent_representation":
                known.representations[body["id"]] = body
            case "consent_restrictedrole":
                # It counts once it was told, which is after the person's row was locked and written.
                known.said_roles.setdefault(body["subject_id"], set()).add(body["role"])
            case "consent_rolechange" if body["approved_at"]:
                known.approved_roles.setdefault(body["subject_id"], set()).add(body["role"])
            case "consent_grantuse":
                known.uses.setdefault(body["record_id"], set()).add(body["object_code"])
            case "analysis_result":
                for person in commit.more["people"]:
                    for scope in body["rests_on"]:
                        for reason in _against(known, commit, person["subject"], person["role"], scope):
                            found.append(f"commit {commit.number}: {scope} of subject {person['subject']}: {reason}")
    limits = {grant.more["id"]: grant.more["uses"] for grant in known.grants.values()}
    found += [
        f"record {record} was for {limits[record]} recordings and used for {len(used)}"
        for record, used in known.uses.items()
        if record in limits and len(used) > limits[record]
    ]
    return found


def _against(known: _Known, commit: Commit, subject: int, role: str, scope: str) -> Iterator[str]:
    purpose = commit.more["purpose"]
    person = known.subjects.get(subject, {})
    if person.get("erased_at"):
        yield "erased"
    if person.get("restricted_at"):
        yield "restricted"
    if not known.open[purpose]:
        yield "the purpose is closed"
    if scope == "voice.emotion":
        denied = known.denied_roles.get(subject, set())
        if role == "employee":
            yield "emotion at work"
        elif denied and role not in denied | known.approved_roles.get(subject, set()):
            yield "relabelled"
    number = known.current.get((subject, purpose, scope))
    if number is None:
        yield "never granted"
        return
    grant = known.grants[number]
    record = grant.more
    if grant.body["state"] != "given":
        yield str(grant.body["state"])
    if record["version"] < known.least[record["series"]]:
        yield "an older notice"
    if record["expires_at"] and datetime.fromisoformat(record["expires_at"]) <= commit.at:
        yield "expired"
    acting = known.representations.get(record["representation_id"])
    if acting is not None and acting["ended_at"]:
        yield "no longer represented"
    if record["uses"] is not None and commit.more["recording"] not in known.uses.get(record["id"], set()):
        yield "no use was taken"
    named = [record["given_at"], *([record["covers_recorded_from"]] if record["covers_recorded_from"] else [])]
    if datetime.fromisoformat(commit.more["recorded_at"]) < min(map(datetime.fromisoformat, named)):
        yield "recorded before"
