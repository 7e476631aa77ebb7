"""How data is processed under a purpose, as a consent record states it (ISO/IEC TS 27560, processing and parties): who is
responsible, where data lies, how long at most, how to withdraw. Fixed with the purpose, because people consent to it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from consent.law import places
from consent.vocabulary import PartyRole, PartyType, RetentionClass, Right, Scope

MAX_TEXT: Final = 500
MAX_PARTIES: Final = 20
DAYS: Final[Mapping[RetentionClass, int]] = {
    RetentionClass.BRIEF: 30,
    RetentionClass.STANDARD: 365,
    RetentionClass.EXTENDED: 3 * 365,
}
"""Days from when something was made, at most."""


@dataclass(frozen=True, slots=True)
class Party:
    """Who takes part in the processing."""

    name: str
    address: str
    contact: str
    role: PartyRole = PartyRole.CONTROLLER
    type: PartyType = PartyType.ORGANIZATION

    def as_json(self) -> dict[str, str]:
        return {
            "name": self.name,
            "address": self.address,
            "contact": self.contact,
            "role": self.role.value,
            "type": self.type.value,
        }


@dataclass(frozen=True, slots=True)
class Processing:
    """What a record must say of the processing (the first four), and what it may. Places are ISO 3166 codes, or `unknown`."""

    parties: Sequence[Party]
    storage_locations: Sequence[str]
    jurisdictions: Sequence[str]
    withdrawal_method: str
    retention_class: RetentionClass = RetentionClass.STANDARD
    collection_method: str = ""
    processing_method: str = ""
    processing_locations: Sequence[str] = ()
    geographic_restrictions: str = ""
    transfer_safeguards: str = ""
    rights: Sequence[Right] = tuple(Right)
    supervisory_authority: str = ""
    optional_scopes: Sequence[Scope] = ()


def problems(processing: Processing, scopes: Collection[Scope]) -> Iterator[tuple[str, str]]:
    """What is missing or contradicts, field by field."""
    yield from _party_problems(processing.parties)
    for name in ("storage_locations", "jurisdictions", "processing_locations"):
        named: Sequence[str] = getattr(processing, name)
        if not named and name != "processing_locations":
            yield name, "name at least one place, or unknown"
        if not all(places.is_place(place) for place in named):
            yield name, "must be ISO 3166 codes, or unknown"
    if not processing.withdrawal_method.strip():
        yield "withdrawal_method", "say how people withdraw"
    for name in ("withdrawal_method", "processing_method", "geographic_restrictions", "transfer_safeguards"):
        if len(getattr(processing, name)) > MAX_TEXT:
            yield name, f"at most {MAX_TEXT} characters"
    for right in (Right.WITHDRAW, Right.ACCESS, Right.ERASURE):
        if right not in processing.rights:
            yield "rights", f"the right to {right} cannot be left out"
    if not set(processing.optional_scopes) <= set(scopes):
        yield "optional_scopes", "are scopes of the purpose"


def _party_problems(parties: Sequence[Party]) -> Iterator[tuple[str, str]]:
    if not any(party.role in (PartyRole.CONTROLLER, PartyRole.JOINT_CONTROLLER) for party in parties):
        yield "parties", "name at least one controller"
    if len(parties) > MAX_PARTIES:
        yield "parties", f"at most {MAX_PARTIES}"
    for party in parties:
        missing = [name for name in ("name", "address", "contact") if not getattr(party, name).strip()]
        if missing:
            yield "parties", f"a party has no {', no '.join(missing)}"


def columns(processing: Processing) -> dict[str, Any]:
    """The processing as the columns of a purpose."""
    return {
        "parties": [party.as_json() for party in processing.parties],
        "storage_locations": sorted(set(processing.storage_locations)),
        "jurisdictions": sorted(set(processing.jurisdictions)),
        "withdrawal_method": processing.withdrawal_method.strip(),
        "retention_class": processing.retention_class.value,
        "collection_method": processing.collection_method.strip(),
        "processing_method": processing.processing_method.strip(),
        "processing_locations": sorted(set(processing.processing_locations)),
        "geographic_restrictions": processing.geographic_restrictions.strip(),
        "transfer_safeguards": processing.transfer_safeguards.strip(),
        "rights": [right.value for right in Right if right in processing.rights],
        "supervisory_authority": processing.supervisory_authority.strip(),
        "optional_scopes": sorted({scope.value for scope in processing.optional_scopes}),
    }
