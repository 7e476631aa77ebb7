"""The rows of this room. Rules live in `gate`, `law`, `granting`, `withdrawal`, `publishing`; nothing here decides anything."""

from consent.models.approvals import EditorialPublication, SecondPerson
from consent.models.bulk import BulkWithdrawal
from consent.models.decisions import Decision
from consent.models.grants import ConsentRecord, CurrentGrant, Ending, Grant, GrantUse, LostEnding, SpokenStatement
from consent.models.imports import GrantImport, ImportedRow
from consent.models.keeping import DestructionOrder, RetentionPolicy, RetentionSchedule
from consent.models.notices import Notice, NoticeSeries, Purpose, RenewalRun
from consent.models.people import Representation, RestrictedRole, RoleChange, Subject
from consent.models.registers import Breach, BreachRevision, ProjectRecord
from consent.models.rules import RuleSet
from consent.models.scoping import ScopedQuerySet
from consent.models.voiceprints import Voiceprint

__all__ = [
    "Breach",
    "BreachRevision",
    "BulkWithdrawal",
    "ConsentRecord",
    "CurrentGrant",
    "Decision",
    "DestructionOrder",
    "EditorialPublication",
    "Ending",
    "Grant",
    "GrantImport",
    "GrantUse",
    "ImportedRow",
    "LostEnding",
    "Notice",
    "NoticeSeries",
    "ProjectRecord",
    "Purpose",
    "RenewalRun",
    "Representation",
    "RestrictedRole",
    "RetentionPolicy",
    "RetentionSchedule",
    "RoleChange",
    "RuleSet",
    "ScopedQuerySet",
    "SecondPerson",
    "SpokenStatement",
    "Subject",
    "Voiceprint",
]
