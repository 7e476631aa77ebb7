"""What each purpose was used for, as far as it is held: who spoke, in which roles, and which models heard them."""

from collections import defaultdict
from collections.abc import Mapping

from analysis.models import Participant, Result
from consent.ports import ModelUse, Use

_MODEL = ("name", "version", "digest", "licence", "validated")


def read(project: int) -> Mapping[str, Use]:
    """By code of the purpose, in two queries whatever is held."""
    roles: dict[str, set[str]] = defaultdict(set)
    spoke = Participant.objects.filter(recording__project=project)
    for purpose, role in spoke.values_list("recording__purpose__code", "role").distinct():
        roles[purpose].add(role)
    models: dict[str, set[ModelUse]] = defaultdict(set)
    made = Result.objects.filter(analysis__recording__project=project)
    wanted = ("analysis__recording__purpose__code", "scope", *(f"model__{name}" for name in _MODEL))
    for purpose, scope, *model in made.values_list(*wanted).distinct():
        models[purpose].add(ModelUse(scope, *model))
    return {
        purpose: Use(tuple(sorted(roles[purpose])), tuple(sorted(models[purpose]))) for purpose in {*roles, *models}
    }
