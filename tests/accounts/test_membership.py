"""Roles are permissions on projects; nobody reaches another organization; tokens are hashed and end."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import IntegrityError
from django.utils import timezone
from knox.models import AuthToken

from accounts import membership
from accounts.access import may, organizations_with_log, projects_with
from accounts.errors import OutsideOrganization
from accounts.models import Organization, ProjectUserObjectPermission, User
from accounts.roles import ROLE_PERMISSIONS, Permission, Role
from tests.factories import ACTOR, make_client, make_member, make_organization, make_project
from vault.journal import Entry


@pytest.mark.parametrize("role", list(Role))
def test_a_member_may_do_what_the_role_says_and_nothing_else(role: Role) -> None:
    project = make_project()
    member = make_member(project, role)
    for permission in Permission:
        assert may(member, permission, project.pk) == (permission in ROLE_PERMISSIONS[role])


def test_an_auditor_sees_the_log_and_the_record_of_processing_and_nothing_else() -> None:
    project = make_project()
    auditor = make_member(project, Role.AUDITOR)
    assert list(organizations_with_log(auditor)) == [project.organization]
    held = {p for p in Permission if projects_with(auditor, p).exists()}
    assert held == {Permission.READ_LOG, Permission.VIEW_PROCESSING_RECORD}


def test_a_protection_officer_protects_and_monitors_and_decides_nothing_about_processing() -> None:
    """GDPR art. 38(6), 39(1)(b): no task of the officer may lead to a conflict of interests; the officer monitors."""
    officer = make_member(make_project(), Role.DATA_PROTECTION_OFFICER)
    held = {p for p in Permission if projects_with(officer, p).exists()}
    assert {Permission.RESTRICT_SUBJECT, Permission.ERASE_SUBJECT, Permission.MANAGE_BREACHES} <= held
    deciding = {Permission.MANAGE_CONSENT, Permission.SUBMIT_RECORDING, Permission.MANAGE_MEMBERS}
    assert not held & (deciding | {Permission.READ_RESULTS, Permission.DELETE_RECORDING})


def test_members_from_before_get_the_permissions_that_their_roles_now_have() -> None:
    give = import_module("accounts.migrations.0010_registers_rows").give
    project = make_project()
    people = {role: make_member(project, role).pk for role in Role}
    expected = {
        "restrict_subject": {people[Role.CONSENT_MANAGER], people[Role.DATA_PROTECTION_OFFICER]},
        "view_processing_record": {
            *(people[Role.AUDITOR], people[Role.DATA_PROTECTION_OFFICER], people[Role.ADMINISTRATOR])
        },
        "manage_breaches": {people[Role.DATA_PROTECTION_OFFICER]},
    }
    rows = ProjectUserObjectPermission.objects.filter(content_object=project, permission__codename__in=list(expected))
    before = set(rows.values_list("permission__codename", "user"))
    assert before == {(codename, user) for codename, users in expected.items() for user in users}
    rows.delete()
    for _ in range(2):
        give(apps, None)
    assert set(rows.values_list("permission__codename", "user")) == before
    assert rows.count() == len(before)


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
