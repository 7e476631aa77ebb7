"""The law table's row on people's rights (GDPR art. 12-22), as far as acts go: for each a case allowed and a case denied."""

from django.utils import timezone

from consent import destruction, gate, inventory, restricting, withdrawal
from consent.inventory import Target
from consent.vocabulary import RestrictionGround, Scope
from tests.factories import ACTOR, World, make_world


def reasons(world: World) -> list[str]:
    return [denial.reason.value for denial in gate.evaluate(world.ask(Scope.TRANSCRIBE)).denials]


def test_gdpr_18_restriction_denies_everything_and_its_lifting_allows_it_again() -> None:
    world = make_world()
    world.consent(Scope.TRANSCRIBE)
    assert reasons(world) == []
    restricting.restrict(world.subject, RestrictionGround.ACCURACY_CONTESTED, ACTOR)
    assert reasons(world) == ["restricted"]
    restricting.lift(world.subject, ACTOR)
    assert reasons(world) == []


def test_gdpr_17_erasure_denies_the_person_and_allows_everybody_else() -> None:
    world = make_world()
    other = World(world.organization, world.project, world.notice, world.purpose, world.another_subject())
    world.consent(Scope.TRANSCRIBE)
    other.consent(Scope.TRANSCRIBE)
    destruction.carry_out(withdrawal.erase(world.subject, actor=ACTOR).code)
    assert reasons(world) == ["subject_erased"]
    assert reasons(other) == []


def test_gdpr_15_and_20_allow_a_person_their_records_and_deny_those_of_others() -> None:
    world = make_world()
    mine = world.consent(Scope.TRANSCRIBE)
    other = world.another_subject()
    theirs = world.consent(Scope.TRANSCRIBE, subject=other)
    target = Target(world.organization.code, world.project.pk, world.subject.code, timezone.now())
    said = str([list(holder.export(target)) for holder in inventory.holders()])
    assert mine.code in said
    assert theirs.code not in said
    assert other.code not in said
