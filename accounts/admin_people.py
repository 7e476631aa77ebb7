"""Names of colleagues on pages where one has to know who did something. The trail's own pages ask for more (`audit_admin`)."""

from collections.abc import Collection

from accounts.models import ApiClient, User


def names_of(viewer: User, codes: Collection[str]) -> dict[str, str]:
    """Code to name, for people and programs of the viewer's own organization; whoever is not in it stays a code."""
    if viewer.organization_id is None:
        return {}
    people = User.objects.filter(organization=viewer.organization_id, code__in=codes, api_client=None)
    programs = ApiClient.objects.filter(project__organization=viewer.organization_id, code__in=codes)
    return {**dict(people.values_list("code", "username")), **dict(programs.values_list("code", "name"))}
