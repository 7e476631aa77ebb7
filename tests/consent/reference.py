"""A plain model of consent, written from the text of the design and the law table and not from the code: what stands for each
person, purpose and scope, and what speaks against using it. No database, no clock of its own; times are given.

It knows one place (Germany), one context (support) and the roles customer and employee.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

AUDIO, WORDS, SOUNDS, EMOTION = "audio.store", "speech.transcribe", "voice.nonverbal", "voice.emotion"
SCOPES = (AUDIO, WORDS, SOUNDS, EMOTION)
SPECIAL = {SOUNDS, EMOTION}
"""GDPR art. 9: only explicit consent opens them."""
CUSTOMER, EMPLOYEE = "customer", "employee"
KEEPS = {"given", "renewal_due"}
"""What was derived is kept in these states."""
OPEN_TO_WITHDRAWAL = {"given", "renewal_due", "requested"}


class Refused(Exception):
    """The model says that this cannot be done: every reason why, as codes of the errors of which one is expected."""

    def __init__(self, *codes: str) -> None:
        super().__init__(*codes)
        self.codes = set(codes)


@dataclass
class Representative:
    majority: datetime
    ended: bool = False

    def acts(self, now: datetime) -> bool:
        return not self.ended and now < self.majority


@dataclass
class Answer:
    """What one person answered once."""

    purpose: int
    version: int
    given_at: datetime
    explicit: bool = True
    covers_from: datetime | None = None
    expires_at: datetime | None = None
    until_event: bool = False
    uses: int | None = None
    used: set[str] = field(default_factory=set)
    representative: Representative | None = None
    child: bool = False

    def is_over(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    @property
    def from_(self) -> datetime:
        return self.given_at if self.covers_from is None else min(self.given_at, self.covers_from)


@dataclass
class Standing:
    """What counts for one person, purpose and scope."""

    state: str
    answer: Answer


@dataclass
class Order:
    """What was derived until now about a person under these scopes of a purpose (of every purpose: none) is to be destroyed."""

    purpose: int | None
    scopes: frozenset[str]


@dataclass
class Person:
    standing: dict[tuple[int, str], Standing] = field(default_factory=dict)
    ended_at: dict[tuple[int, str], datetime] = field(default_factory=dict)
    """The last refusal, withdrawal or invalidation; nothing answered before it counts."""
    denied_roles: set[str] = field(default_factory=set)
    approved_roles: set[str] = field(default_factory=set)
    erased: bool = False
    restricted: bool = False


@dataclass
class Part:
    """One person in a recording."""

    person: int
    role: str = CUSTOMER


class Model:
    """People by number, purposes by number (open or not), and the least version of the notice that still counts."""

    def __init__(self, people: int, purposes: int) -> None:
        self.people = [Person() for _ in range(people)]
        self.open = [True] * purposes
        self.least_version = 1
        self.schedule: list[tuple[int, Order]] = []

    # What may be done

    def against(
        self,
        purpose: int,
        parts: Collection[Part],
        scope: str,
        now: datetime,
        recorded_at: datetime,
        recording: str = "",
    ) -> list[set[str]]:
        """For each of the parts, every reason that speaks against the scope; an empty set is permission."""
        alone = [self._against_one(purpose, part, scope, now, recorded_at, recording) for part in parts]
        if scope == AUDIO and any(alone):
            # Where it was made everyone must agree to its being kept.
            return [reasons or {"law"} for reasons in alone]
        return alone

    def _against_one(
        self, purpose: int, part: Part, scope: str, now: datetime, recorded_at: datetime, recording: str
    ) -> set[str]:
        person = self.people[part.person]
        reasons = set()
        if person.erased:
            reasons.add("subject_erased")
        if person.restricted:
            reasons.add("restricted")
        if not self.open[purpose]:
            reasons.add("purpose_inactive")
        standing = person.standing.get((purpose, scope))
        reasons |= (
            {"not_granted"}
            if standing is None
            else set(self._against_standing(standing, scope, now, recorded_at, recording))
        )
        if scope == EMOTION:
            if part.role == EMPLOYEE:
                reasons.add("law")
            elif EMPLOYEE in person.denied_roles and part.role not in person.denied_roles | person.approved_roles:
                reasons.add("role_relabelled")
        return reasons

    def _against_standing(
        self, standing: Standing, scope: str, now: datetime, recorded_at: datetime, recording: str
    ) -> Iterator[str]:
        answer = standing.answer
        if standing.state in KEEPS and answer.version < self.least_version:
            yield "notice_superseded"
        if standing.state != "given":
            yield {"requested": "not_granted", "invalidated": "not_granted", "expired": "not_granted"}.get(
                standing.state, standing.state
            )
            return
        if answer.is_over(now):
            yield "expired"
        if answer.uses is not None and len(answer.used) >= answer.uses and recording not in answer.used:
            yield "uses_consumed"
        if answer.representative is not None and not answer.representative.acts(now):
            yield "representation_ended"
        if recorded_at < answer.from_:
            yield "recorded_before_consent"
        if (scope in SPECIAL and not answer.explicit) or (answer.child and answer.representative is None):
            yield "law"

    def permitted(
        self,
        purpose: int,
        parts: Collection[Part],
        scopes: Iterable[str],
        now: datetime,
        recorded_at: datetime,
        recording: str,
    ) -> set[tuple[int, str]]:
        return {
            (part.person, scope)
            for scope in scopes
            for part, reasons in zip(
                parts, self.against(purpose, parts, scope, now, recorded_at, recording), strict=True
            )
            if not reasons
        }

    def keeps(self, number: int, purpose: int, scopes: Iterable[str]) -> bool:
        """Whether anything that was or may be derived about the person under these scopes is to stay."""
        standing = self.people[number].standing
        return any((purpose, scope) in standing and standing[purpose, scope].state in KEEPS for scope in scopes)

    # What people do

    def answer(self, number: int, answer: Answer, scopes: Collection[str], state: str, now: datetime) -> list[Order]:
        """Given, refused or requested: the newest answer counts, but none undoes an end that came after it."""
        person = self.people[number]
        keys = [(answer.purpose, scope) for scope in scopes]
        wrong = {
            "subject_erased": person.erased,
            "notice_not_published": answer.version < self.least_version,
            "representation_ended": answer.representative is not None and not answer.representative.acts(now),
            "invalid_record": state != "refused"
            and any(person.ended_at.get(key, answer.given_at) > answer.given_at for key in keys),
        }
        if any(wrong.values()):
            raise Refused(*(code for code, holds in wrong.items() if holds))
        held = {key for key in keys if key in person.standing and person.standing[key].state in KEEPS}
        for key in keys:
            if state == "requested" and key in held:
                continue
            person.standing[key] = Standing(state, answer)
            if state == "refused":
                person.ended_at[key] = now
        if state == "refused" and held:
            return self._order(number, answer.purpose, {scope for _, scope in held})
        return []

    def withdraw(
        self, number: int, now: datetime, purpose: int | None = None, scopes: Collection[str] | None = None
    ) -> None:
        person = self._alive(number)
        self._end(
            number,
            [
                key
                for key, standing in person.standing.items()
                if standing.state in OPEN_TO_WITHDRAWAL
                and (purpose is None or key[0] == purpose)
                and (scopes is None or key[1] in scopes)
            ],
            "withdrawn",
            now,
        )

    def invalidate(self, number: int, answer: Answer, now: datetime) -> None:
        person = self._alive(number)
        keys = [key for key, one in person.standing.items() if one.answer is answer and one.state in OPEN_TO_WITHDRAWAL]
        self._end(number, keys, "invalidated", now)

    def happened(self, number: int, now: datetime) -> None:
        """The event until which some consent was given."""
        person = self._alive(number)
        keys = [key for key, one in person.standing.items() if one.answer.until_event and one.state in KEEPS]
        self._end(number, keys, "expired", now)

    def _end(self, number: int, keys: Collection[tuple[int, str]], state: str, now: datetime) -> None:
        if not keys:
            raise Refused("nothing_to_withdraw")
        person = self.people[number]
        for key in keys:
            person.standing[key].state = state
            if state != "expired":
                person.ended_at[key] = now
        for purpose in {purpose for purpose, _ in keys}:
            self._order(number, purpose, {scope for of, scope in keys if of == purpose})

    def erase(self, number: int) -> None:
        person = self._alive(number)
        person.erased, person.restricted = True, False
        for standing in person.standing.values():
            if standing.state in OPEN_TO_WITHDRAWAL:
                standing.state = "withdrawn"
        self.schedule.append((number, Order(None, frozenset())))

    def restrict(self, number: int) -> None:
        self._alive(number).restricted = True

    def lift(self, number: int) -> None:
        self._alive(number).restricted = False

    def end_representation(self, number: int, representative: Representative) -> None:
        person = self._alive(number)
        if representative.ended:
            raise Refused("representation_ended")
        representative.ended = True
        for standing in person.standing.values():
            if standing.answer.representative is representative and standing.state == "given":
                standing.state = "renewal_due"

    def write_down_what_is_over(self, now: datetime) -> None:
        """Terms that ended, and children who came of age. For whoever is restricted terms stand still."""
        for number, person in enumerate(self.people):
            if person.erased:
                continue
            over = [key for key, one in person.standing.items() if one.state in KEEPS and one.answer.is_over(now)]
            if person.restricted:
                over = []
            if over:
                self._end(number, over, "expired", now)
            for one in person.standing.values():
                acted = one.answer.representative
                if one.state == "given" and acted is not None and not acted.acts(now):
                    one.state = "renewal_due"

    # What the organization does

    def publish(self, version: int, *, material: bool) -> None:
        if material:
            self.least_version = version

    def write_down_renewals(self) -> None:
        for person in self.people:
            for one in person.standing.values():
                if not person.erased and one.state == "given" and one.answer.version < self.least_version:
                    one.state = "renewal_due"

    def _order(self, number: int, purpose: int, scopes: Collection[str]) -> list[Order]:
        order = Order(purpose, frozenset(scopes))
        self.schedule.append((number, order))
        return [order]

    def _alive(self, number: int) -> Person:
        person = self.people[number]
        if person.erased:
            raise Refused("subject_erased")
        return person
