"""Reading a CSV file of existing consents: columns, encoding, and each value, without looking at the database.

What is wrong is said by row and column, never by repeating what stood there: rows hold external references. The row after the
header is row 2, as spreadsheets count.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from consent.errors import ImportUnreadable
from consent.law import places
from consent.vocabulary import AgeBand, EvidenceMethod, RepresentativeRelation, Scope

MAX_ROWS: Final = 100_000
MAX_BYTES: Final = 32 * 1024 * 1024
FORMS: Final = "yes, no, true, false, 1 or 0"
REQUIRED: Final = ("purpose", "notice", "scopes", "answer", "explicit", "given_at", "evidence_method")
OPTIONAL: Final = (
    *("external_reference", "subject", "evidence_origin", "jurisdiction", "age_band"),
    *("expires_at", "covers_recorded_from"),
    *("representative", "representative_relation", "representative_proof", "representative_document"),
    "representative_until",
)
COLUMNS: Final = (*OPTIONAL[:2], *REQUIRED, *OPTIONAL[2:])
T = TypeVar("T")
Word = TypeVar("Word", EvidenceMethod, AgeBand, RepresentativeRelation)
Take = Callable[[str, Callable[[str], T], T], T]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one row. `column` is empty where it concerns the row as a whole."""

    row: int
    column: str
    message: str

    def as_json(self) -> dict[str, str | int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Represented:
    """Who answered, where it was not the person. A mandate is for an adult, every other relation for a child."""

    identity: str = field(repr=False)
    relation: RepresentativeRelation
    proof_sha256: str
    proof_reference: str = field(default="", repr=False)
    ends_at: datetime | None = None

    @property
    def of_child(self) -> bool:
        return self.relation is not RepresentativeRelation.MANDATE

    def as_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "relation": self.relation.value,
            "ends_at": self.ends_at and self.ends_at.isoformat(),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Represented":
        ends_at = body["ends_at"] and datetime.fromisoformat(body["ends_at"])
        return cls(**{**body, "relation": RepresentativeRelation(body["relation"]), "ends_at": ends_at})


@dataclass(frozen=True, slots=True)
class Row:
    """One row whose values were understood. Who and what it names is looked up later; `known` is the code of a subject whom the
    reference belonged to when the file was checked."""

    number: int
    purpose: str
    notice: str
    scopes: tuple[Scope, ...]
    given: bool
    explicit: bool
    given_at: datetime
    method: EvidenceMethod
    external_reference: str = field(default="", repr=False)
    subject: str = ""
    origin: str = field(default="", repr=False)
    jurisdiction: str = places.UNKNOWN
    age_band: AgeBand = AgeBand.UNSTATED
    expires_at: datetime | None = None
    covers_recorded_from: datetime | None = None
    represented: Represented | None = None
    known: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "scopes": sorted(scope.value for scope in self.scopes),
            "method": self.method.value,
            "age_band": self.age_band.value,
            "given_at": self.given_at.isoformat(),
            "expires_at": self.expires_at and self.expires_at.isoformat(),
            "covers_recorded_from": self.covers_recorded_from and self.covers_recorded_from.isoformat(),
            "represented": self.represented and self.represented.as_json(),
        }

    def identity(self) -> dict[str, Any]:
        """What makes it the same row again: everything but its place and what was known of the person. A row that names no
        representative is the one that it was before rows could."""
        left_out = {"number", "known"} | ({"represented"} if self.represented is None else set())
        return {name: value for name, value in self.as_json().items() if name not in left_out}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Row":
        return cls(
            **{
                **body,
                "scopes": tuple(Scope(scope) for scope in body["scopes"]),
                "method": EvidenceMethod(body["method"]),
                "age_band": AgeBand(body["age_band"]),
                "given_at": datetime.fromisoformat(body["given_at"]),
                "expires_at": body["expires_at"] and datetime.fromisoformat(body["expires_at"]),
                "covers_recorded_from": body["covers_recorded_from"]
                and datetime.fromisoformat(body["covers_recorded_from"]),
                "represented": Represented.from_json(body["represented"]) if body.get("represented") else None,
            }
        )


def read(content: bytes) -> Iterator[Row | list[Problem]]:
    """Every row after the header: understood, or what is wrong with it. Raises `ImportUnreadable` for a file that is none."""
    if len(content) > MAX_BYTES:
        raise ImportUnreadable(f"the file is larger than {MAX_BYTES // (1024 * 1024)} MiB")
    reader = csv.reader(io.StringIO(_decoded(content), newline=""), strict=True)
    try:
        header = _header(next(reader, []))
        for number, values in enumerate(reader, 2):
            if number > MAX_ROWS + 1:
                raise ImportUnreadable(f"the file has more than {MAX_ROWS:,} rows: divide it")
            if values:
                yield _row(number, header, values)
    except csv.Error as error:
        raise ImportUnreadable(f"line {reader.line_num} is not CSV: {error}") from error


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ImportUnreadable(f"line {line} is not UTF-8: save the file as CSV in UTF-8") from None
    if "\x00" in text:
        raise ImportUnreadable(f"line {text.count(chr(10), 0, text.index(chr(0))) + 1} holds a zero byte")
    return text


def _header(names: Sequence[str]) -> list[str]:
    header = [name.strip().lower() for name in names]
    if not header:
        raise ImportUnreadable("the file is empty: its first row names the columns")
    # The name is not repeated: in a file without a header it would be somebody's data.
    unknown = [str(place) for place, name in enumerate(header, 1) if name not in COLUMNS]
    if unknown:
        raise ImportUnreadable(f"no such column: number {', '.join(unknown)}. Known are {', '.join(COLUMNS)}")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise ImportUnreadable(f"named twice: {', '.join(twice)}")
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise ImportUnreadable(f"missing columns: {', '.join(missing)}")
    if not {"external_reference", "subject"} & set(header):
        raise ImportUnreadable("a column external_reference or subject must say whose consent it is")
    return header


def _row(number: int, header: Sequence[str], values: Sequence[str]) -> Row | list[Problem]:
    if len(values) != len(header):
        return [Problem(number, "", f"has {len(values)} values and not {len(header)}")]
    said = dict.fromkeys(COLUMNS, "") | {name: value.strip() for name, value in zip(header, values, strict=True)}
    problems: list[Problem] = []

    def take(column: str, read_: Callable[[str], T], default: T) -> T:
        if not said[column]:
            if column in REQUIRED:
                problems.append(Problem(number, column, "is missing"))
            return default
        try:
            return read_(said[column])
        except ValueError as error:
            problems.append(Problem(number, column, str(error)))
            return default

    if bool(said["external_reference"]) == bool(said["subject"]):
        problems.append(Problem(number, "external_reference", "name the person by external_reference or by subject"))
    never = datetime.max.replace(tzinfo=UTC)
    found = Row(
        number=number,
        external_reference=said["external_reference"],
        subject=said["subject"],
        purpose=said["purpose"],
        notice=said["notice"].lower(),
        origin=said["evidence_origin"],
        scopes=take("scopes", _scopes, ()),
        given=take("answer", _given, False),
        explicit=take("explicit", _yes, False),
        given_at=take("given_at", _moment, never),
        method=take("evidence_method", _word(EvidenceMethod), EvidenceMethod.PAPER),
        jurisdiction=take("jurisdiction", _place, places.UNKNOWN),
        age_band=take("age_band", _word(AgeBand), AgeBand.UNSTATED),
        expires_at=take("expires_at", _maybe_moment, None),
        covers_recorded_from=take("covers_recorded_from", _maybe_moment, None),
        represented=_represented(said, take),
    )
    problems += [
        Problem(number, name, "is missing") for name in ("purpose", "notice", *_needed(said)) if not said[name]
    ]
    return problems or found


def _needed(said: Mapping[str, str]) -> Sequence[str]:
    """What a row must say besides, because it says something of a representative."""
    named = any(value for name, value in said.items() if name.startswith("representative"))
    return ("representative", "representative_relation", "representative_proof") if named else ()


def _represented(said: Mapping[str, str], take: "Take[Any]") -> Represented | None:
    if not said["representative"]:
        return None
    return Represented(
        identity=said["representative"],
        relation=take("representative_relation", _word(RepresentativeRelation), RepresentativeRelation.PARENT),
        proof_sha256=said["representative_proof"].lower(),
        proof_reference=said["representative_document"],
        ends_at=take("representative_until", _maybe_moment, None),
    )


def _scopes(text: str) -> tuple[Scope, ...]:
    words = re.split(r"[\s;]+", text.strip())
    unknown = [str(place) for place, word in enumerate(words, 1) if word not in set(Scope)]
    if unknown:
        raise ValueError(f"number {', '.join(unknown)} is no scope; they are separated by spaces or semicolons")
    return tuple(Scope(word) for word in sorted(set(words)))


def _given(text: str) -> bool:
    if text.lower() not in ("given", "refused"):
        raise ValueError("must be given or refused")
    return text.lower() == "given"


def _yes(text: str) -> bool:
    if text.lower() not in ("yes", "no", "true", "false", "1", "0"):
        raise ValueError(f"must be {FORMS}")
    return text.lower() in ("yes", "true", "1")


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a time such as 2024-05-31T14:00:00+02:00") from None
    if found.tzinfo is None:
        raise ValueError("must say its time zone, such as +02:00 or Z")
    return found


def _maybe_moment(text: str) -> datetime | None:
    return _moment(text)


def _place(text: str) -> str:
    return places.UNKNOWN if text.lower() == places.UNKNOWN else text.upper()


def _word(kind: type[Word]) -> Callable[[str], Word]:
    def read_(text: str) -> Word:
        if text not in {word.value for word in kind}:
            raise ValueError(f"must be one of {', '.join(word.value for word in kind)}")
        return kind(text)

    return read_
