"""Every field of every model, ours and third-party, is answered for."""

from django.apps import apps
from django.contrib.admin.models import LogEntry
from guardian.models import GroupObjectPermission, UserObjectPermission

from consent import inventory
from consent.inventory import DEFAULT_DAYS, INSTALLATION_DAYS, Category, InstallationHolder


def every_field() -> set[str]:
    return {
        f"{model._meta.app_label}.{model.__name__}.{field.name}"
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.concrete_fields
    }


def test_every_field_is_held_or_declared_not_personal_with_a_reason() -> None:
    held = set().union(*(holder.fields for holder in inventory.holders()))
    assert every_field() - held - set(inventory.not_personal()) == set()


def test_no_field_is_both_held_and_declared_not_personal() -> None:
    held = set().union(*(holder.fields for holder in inventory.holders()))
    assert held & set(inventory.not_personal()) == set()


def test_the_inventory_names_no_field_that_is_gone() -> None:
    held = set().union(*(holder.fields for holder in inventory.holders()))
    assert (held | set(inventory.not_personal())) - every_field() == set()


def test_reasons_are_sentences() -> None:
    assert all(reason.endswith(".") and len(reason) > 30 for reason in inventory.not_personal().values())


def test_every_category_with_data_has_a_term_or_ends_by_erasure() -> None:
    without_term = {holder.category for holder in inventory.holders()} - set(DEFAULT_DAYS) - set(INSTALLATION_DAYS)
    assert without_term == {Category.IDENTITY, Category.CONSENT}


def test_what_belongs_to_the_installation_is_held_by_holders_that_destroy_it_everywhere() -> None:
    everywhere = {h.category for h in inventory.holders() if isinstance(h, InstallationHolder)}
    assert everywhere == set(INSTALLATION_DAYS)
    assert not everywhere & set(DEFAULT_DAYS)


def test_tables_that_are_declared_never_written_are_empty() -> None:
    assert not LogEntry.objects.exists()
    assert not UserObjectPermission.objects.exists()
    assert not GroupObjectPermission.objects.exists()
