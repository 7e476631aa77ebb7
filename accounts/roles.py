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
    SUBMIT_RECORDING = "submit_recording"
    VIEW_RECORDING = "view_recording"
    DELETE_RECORDING = "remove_recording"
    READ_RESULTS = "read_results"
    VIEW_DECISION = "view_decision"
    MANAGE_RETENTION = "manage_retention"
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
            Permission.VIEW_DECISION,
        }
    ),
    Role.AUDITOR: frozenset({Permission.READ_LOG}),
    Role.DATA_PROTECTION_OFFICER: frozenset(
        {
            Permission.VIEW_PROJECT,
            Permission.VIEW_CONSENT,
            Permission.VIEW_DECISION,
            Permission.VIEW_RECORDING,
            Permission.APPROVE_CONSENT,
            Permission.REVEAL_SUBJECT,
            Permission.ERASE_SUBJECT,
            Permission.MANAGE_RETENTION,
            Permission.READ_LOG,
            Permission.MANAGE_WEBHOOKS,
        }
    ),
    Role.ADMINISTRATOR: frozenset(
        {Permission.VIEW_PROJECT, Permission.MANAGE_MEMBERS, Permission.MANAGE_WEBHOOKS},
    ),
}
"""An administrator manages people, clients and webhooks and reads no one's voice; an auditor sees the log and nothing else.

Where the log is sent is decided by who may also read it: an administrator looks after webhooks, stops them and renews their
secrets, and does not make one, point one elsewhere or open one again without a role that reads the log."""
