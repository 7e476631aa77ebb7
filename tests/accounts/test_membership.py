"""Roles are permissions on projects; nobody reaches another organization; tokens are hashed and end."""

from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.utils import timezone
from knox.models import AuthToken

from accounts import membership
from accounts.access import may, organizations_with_log, projects_with
from accounts.errors import OutsideOrganization
from accounts.models import Organization, User
from accounts.roles import ROLE_PERMISSIONS, Permission, Role
from tests.factories import ACTOR, make_client, make_member, make_organization, make_project
from vault.journal import Entry


@pytest.mark.parametrize("role", list(Role))
def test_a_member_may_do_what_the_role_says_and_nothing_else(role: Role) -> None:
    project = make_project()
    member = make_member(project, role)
    for permission in Permission:
        assert may(member, permission, project.pk) == (permission in ROLE_PERMISSIONS[role])


def test_an_auditor_sees_the_log_and_nothing_else() -> None:
    project = make_project()
    auditor = make_member(project, Role.AUDITOR)
    assert list(organizations_with_log(auditor)) == [project.organization]
    assert [p for p in Permission if projects_with(auditor, p).exists()] == [Permission.READ_LOG]


def test_permissions_end_with_the_role_but_not_those_of_another_role() -> None:
    project = make_project()
    member = make_member(project, Role.OPERATOR, Role.CONSENT_MANAGER)
    membership.remove_member(member, project, Role.OPERATOR, actor=ACTOR)
    assert not may(member, Permission.READ_RESULTS, project.pk)
    assert may(member, Permission.VIEW_CONSENT, project.pk)


def test_a_user_of_another_organization_cannot_become_a_member() -> None:
    stranger = make_member(make_project())
    with pytest.raises(OutsideOrganization):
        membership.add_member(stranger, make_project(), Role.OPERATOR, actor=ACTOR)


def test_an_inactive_user_sees_nothing() -> None:
    project = make_project()
    member = make_member(project, Role.OPERATOR)
    member.is_active = False
    assert not projects_with(member, Permission.VIEW_PROJECT).exists()


def test_each_change_of_membership_moves_the_policy_epoch() -> None:
    project = make_project()
    member = make_member(project)

    def epoch() -> int:
        return Organization.objects.get(pk=project.organization_id).policy_epoch

    before = epoch()
    membership.add_member(member, project, Role.OPERATOR, actor=ACTOR)
    membership.add_member(member, project, Role.OPERATOR, actor=ACTOR)
    assert epoch() == before + 1
    membership.remove_member(member, project, Role.OPERATOR, actor=ACTOR)
    assert epoch() == before + 2


def test_nobody_is_superuser() -> None:
    with pytest.raises(IntegrityError):
        User.objects.create(username="root", organization=make_organization(), is_superuser=True)


def test_a_token_is_stored_as_a_hash_and_ends() -> None:
    client, secret = make_client(make_project(), Role.OPERATOR)
    token = AuthToken.objects.get(user=client.user)
    assert secret not in (token.digest, token.token_key)
    assert not AuthToken.objects.filter(digest=secret).exists()
    short = membership.issue_token(client, actor=ACTOR, life=timedelta(minutes=5))
    assert "secret" not in repr(short)
    assert short.secret not in repr(short)


def test_a_revoked_client_loses_tokens_and_sight_at_once() -> None:
    project = make_project()
    client, _ = make_client(project, Role.OPERATOR)
    membership.revoke_client(client, actor=ACTOR)
    user = User.objects.get(pk=client.user_id)
    assert not AuthToken.objects.filter(user=user).exists()
    assert not projects_with(user, Permission.VIEW_PROJECT).exists()


def test_a_client_that_a_restored_backup_brought_back_is_revoked_again() -> None:
    client, _ = make_client(make_project(), Role.OPERATOR)
    entry = Entry(1, timezone.now(), membership.REVOKED, {"client": client.code})
    assert membership.replay(entry)
    client.refresh_from_db()
    assert client.revoked_at is not None
    assert not membership.replay(entry)
    assert not membership.replay(Entry(2, timezone.now(), membership.REVOKED, {"client": "never there"}))
