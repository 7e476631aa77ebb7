"""Roles and what each may do. Permissions hang on a project (django-guardian, direct foreign keys), or on a log.

A role is nothing but a set of permissions; code asks for a permission, never for a role.
"""

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    OPERATOR = "operator"
    CONSENT_MANAGER = "consent_manager"
    AUDITOR = "auditor"
    DATA_PROTECTION_OFFICER = "data_protection_officer"
    ADMINISTRATOR = "administrator"


class Permission(StrEnum):
    """Codenames on `accounts.Project`."""

    VIEW_PROJECT = "view_project"
    MANAGE_MEMBERS = "manage_members"
    VIEW_CONSENT = "view_consent"
    MANAGE_CONSENT = "manage_consent"
    APPROVE_CONSENT = "approve_consent"
    REVEAL_SUBJECT = "reveal_subject"
    ERASE_SUBJECT = "erase_subject"
    RESTRICT_SUBJECT = "restrict_subject"
    SUBMIT_RECORDING = "submit_recording"
    VIEW_RECORDING = "view_recording"
    DELETE_RECORDING = "remove_recording"
    READ_RESULTS = "read_results"
    VIEW_DECISION = "view_decision"
    MANAGE_RETENTION = "manage_retention"
    VIEW_PROCESSING_RECORD = "view_processing_record"
    MANAGE_BREACHES = "manage_breaches"
    READ_LOG = "read_log"
    MANAGE_WEBHOOKS = "manage_webhooks"


ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.OPERATOR: frozenset(
        {
            Permission.VIEW_PROJECT,
            Permission.SUBMIT_RECORDING,
            Permission.VIEW_RECORDING,
            Permission.DELETE_RECORDING,
            Permission.READ_RESULTS,
            Permission.VIEW_CONSENT,
            Permission.VIEW_DECISION,
        }
    ),
    Role.CONSENT_MANAGER: frozenset(
        {
            Permission.VIEW_PROJECT,
            Permission.VIEW_CONSENT,
            Permission.MANAGE_CONSENT,
            Permission.APPROVE_CONSENT,
            Permission.REVEAL_SUBJECT,
            Permission.RESTRICT_SUBJECT,
            Permission.VIEW_DECISION,
        }
    ),
    Role.AUDITOR: frozenset({Permission.READ_LOG, Permission.VIEW_PROCESSING_RECORD}),
    Role.DATA_PROTECTION_OFFICER: frozenset(
        {
            Permission.VIEW_PROJECT,
            Permission.VIEW_CONSENT,
            Permission.VIEW_DECISION,
            Permission.VIEW_RECORDING,
            Permission.APPROVE_CONSENT,
            Permission.REVEAL_SUBJECT,
            Permission.ERASE_SUBJECT,
            Permission.RESTRICT_SUBJECT,
            Permission.MANAGE_RETENTION,
            Permission.VIEW_PROCESSING_RECORD,
            Permission.MANAGE_BREACHES,
            Permission.READ_LOG,
            Permission.MANAGE_WEBHOOKS,
        }
    ),
    Role.ADMINISTRATOR: frozenset(
        {
            Permission.VIEW_PROJECT,
            Permission.MANAGE_MEMBERS,
            Permission.MANAGE_WEBHOOKS,
            Permission.VIEW_PROCESSING_RECORD,
        },
    ),
}
"""An administrator manages people, clients and webhooks and reads no one's voice; an auditor sees the log, the record of processing
and nothing else.

A data protection officer monitors, and decides nothing about why or how voices are processed (GDPR art. 38(6), 39(1)(b)): the role
records no consent, makes no purpose and withdraws nothing for anybody. What it may do besides looking protects people or keeps the
registers: restrict and lift, erase, set terms, approve what somebody else asked for, keep the register of breaches.

Where the log is sent is decided by who may also read it: an administrator looks after webhooks, stops them and renews their
secrets, and does not make one, point one elsewhere or open one again without a role that reads the log."""
