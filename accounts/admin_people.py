"""Names of colleagues on pages where one has to know who did something. The trail's own pages ask for more (`audit_admin`)."""

from collections.abc import Collection

from accounts.models import ApiClient, Project, User


def names_of(viewer: User, codes: Collection[str]) -> dict[str, str]:
    """Code to name, for people and programs of the viewer's own organization; whoever is not in it stays a code."""
    return {} if viewer.organization_id is None else _names(viewer.organization_id, codes)


def names_of_staff(project: Project, codes: Collection[str]) -> dict[str, str]:
    """The same, for whoever works in the organization of a project."""
    return _names(project.organization_id, codes)


def _names(organization: int, codes: Collection[str]) -> dict[str, str]:
    people = User.objects.filter(organization=organization, code__in=codes, api_client=None)
    programs = ApiClient.objects.filter(project__organization=organization, code__in=codes)
    return {**dict(people.values_list("code", "username")), **dict(programs.values_list("code", "name"))}
