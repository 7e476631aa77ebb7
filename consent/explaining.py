"""A decision in plain words, with the grants and the rules that it rests on. As of the decision: everything said here was frozen in
its row, or stands in rows that never change (grants, records, notices, purposes).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from consent.models import Decision, Grant, Purpose
from consent.vocabulary import ObligationKind, Scope
from consent.words import ACTION_WORDS, SCOPE_WORDS


@dataclass(frozen=True, slots=True)
class RuleAsked:
    """A rule of law that had a say, with where it stands."""

    id: str
    citation: str


@dataclass(frozen=True, slots=True)
class GrantRelied:
    """One participant, one scope, and the consent that opened it."""

    subject: str
    scope: str
    grant: Grant


@dataclass(frozen=True, slots=True)
class Explanation:
    sentences: tuple[str, ...]
    grants: tuple[GrantRelied, ...]
    rules: tuple[RuleAsked, ...]


def explain(decision: Decision) -> Explanation:
    """Four queries at most, whatever the decision is about."""
    grants = _grants(decision)
    rules = _rules(decision)
    return Explanation(tuple(_sentences(decision, grants, rules)), grants, rules)


def conditions(decision: Decision) -> Iterator[str]:
    """What has to be done besides for the answer to be a yes, a sentence each."""
    asked = decision.request["participants"]
    people = {person["subject"]: person for person in asked}
    for duty in decision.obligations:
        yield _on_condition(people, asked[duty["participant"]]["subject"], duty)


def _grants(decision: Decision) -> tuple[GrantRelied, ...]:
    # What an erased person granted is not tied to them again through a decision that others are in too.
    named = [pair for pair in decision.granted if pair["subject"] in decision.subjects]
    rows = Grant.objects.filter(code__in=[pair["grant"] for pair in named], record__project=decision.project_id)
    known = {row.code: row for row in rows.select_related("record__notice__series", "record__representation")}
    return tuple(
        GrantRelied(pair["subject"], pair["scope"], known[pair["grant"]]) for pair in named if pair["grant"] in known
    )


def _rules(decision: Decision) -> tuple[RuleAsked, ...]:
    found: dict[str, str] = dict(decision.citations)
    for said in (*decision.denials, *decision.obligations):
        if said["rule"]:
            found[said["rule"]] = said["citation"]
    return tuple(RuleAsked(rule, citation) for rule, citation in sorted(found.items()))


def _sentences(decision: Decision, grants: tuple[GrantRelied, ...], rules: tuple[RuleAsked, ...]) -> Iterator[str]:
    asked: Mapping[str, Any] = decision.request
    people = {person["subject"]: person for person in asked["participants"]}
    purpose = Purpose.objects.filter(code=asked["purpose"], project=decision.project_id).first()
    why = "a purpose that is not known here" if purpose is None else f"the purpose “{purpose.name}”"
    yield (
        f"Somebody asked to {ACTION_WORDS.get(decision.action, decision.action)}, for {why}, in the context "
        f"{asked['context']}, of a recording made at {asked['recorded_at']} in the jurisdiction {asked['jurisdiction']}."
    )
    if not decision.allowed:
        yield "The answer was no."
    elif decision.denials:
        yield "The answer was yes in part: what is not granted is left out."
    elif decision.obligations:
        yield "The answer was yes, on conditions."
    else:
        yield "The answer was yes."
    for relied in grants:
        yield _on_what(people, relied)
    for denial in decision.denials:
        yield _why_not(people, denial)
    yield from conditions(decision)
    if rules:
        listed = "; ".join(f"{rule.id} ({rule.citation})" if rule.citation else rule.id for rule in rules)
        yield f"These rules had a say, of the rule set {decision.rule_set}: {listed}."
    else:
        yield f"No rule of the rule set {decision.rule_set} had a say."


def _on_what(people: Mapping[str, Any], relied: GrantRelied) -> str:
    record = relied.grant.record
    by = "" if record.representation is None else ", through somebody who represents them"
    return (
        f"{_who(people, relied.subject)} let us {SCOPE_WORDS.get(relied.scope, relied.scope)} ({relied.scope}): "
        f"{'explicit ' if record.explicit else ''}consent given at {record.given_at.isoformat()}{by}, under version "
        f"{record.notice.version} of the notice “{record.notice.series.name}” ({record.notice.language})."
    )


def _on_condition(people: Mapping[str, Any], subject: str, duty: Mapping[str, str]) -> str:
    # The first decisions with obligations name no scope: all of them were about keeping audio.
    scope = duty.get("scope", Scope.AUDIO_STORE.value)
    what = f"to {SCOPE_WORDS.get(scope, scope)} ({scope})"
    if duty["kind"] == ObligationKind.ISOLATE:
        how = (
            "only what matches their own voiceprint may be used, and everything else on the channel is silenced before"
        )
        return f"Of {_who(people, subject, inside=True)}, {what}: {how} ({duty['citation']})."
    left_out = "of what is kept" if scope == Scope.AUDIO_STORE else f"when somebody asks {what}"
    return f"{_who(people, subject)} must be left out {left_out} ({duty['citation']})."


def _why_not(people: Mapping[str, Any], denial: Mapping[str, str]) -> str:
    law = f" ({denial['citation']})" if denial["citation"] else ""
    remedy = "" if denial["remedy"] in ("", "None.") else f" {denial['remedy']}"
    if not denial["scope"]:
        return f"Nothing could be answered: {denial['message']}.{remedy}"
    what = f"{SCOPE_WORDS.get(denial['scope'], denial['scope'])} ({denial['scope']})"
    return f"Not about {_who(people, denial['subject'], inside=True)}: {what}. {_sentence(denial['message'])}{law}.{remedy}"


def _who(people: Mapping[str, Any], subject: str, *, inside: bool = False) -> str:
    role = people.get(subject, {}).get("role", "unknown")
    the = "somebody" if role in ("unknown", "other") else f"the {role}"
    named = f"{the} {subject}" if len(subject) == _CODE else f"{the} who is {subject}"
    return named if inside else named[0].upper() + named[1:]


_CODE = 36
"""Length of a code; whoever is no longer named stands as `erased` or `not named`."""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
