"""The locks under which results may be committed: the organization's policy row, then the subjects in id order, all shared.

A change of policy or of a subject's grants takes the same rows exclusively, so it happens before the commit, and is seen by the
evaluation inside it, or after it.
"""

from collections.abc import Sequence

from django.db import connection

from consent.errors import GateOutsideTransaction


def hold(project: int, subjects: Sequence[str]) -> None:
    """Holds policy and subjects still until the caller's transaction ends. Raises `GateOutsideTransaction`."""
    if not connection.in_atomic_block:
        raise GateOutsideTransaction("locks outlive nothing outside a transaction")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT organization.id FROM accounts_organization AS organization"
            " JOIN accounts_project AS project ON project.organization_id = organization.id"
            " WHERE project.id = %s FOR SHARE OF organization",
            [project],
        )
        cursor.execute(
            "SELECT id FROM consent_subject WHERE project_id = %s AND code = ANY(%s) ORDER BY id FOR SHARE",
            [project, list(subjects)],
        )
