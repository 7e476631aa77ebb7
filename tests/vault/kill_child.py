"""What the kill drill does as the service would: `python -m tests.vault.kill_child STEP STATE` (see `tests/installation.py`)."""

import json
import sys
from pathlib import Path
from typing import Any

import django

PEOPLE = 6


def seed(state: dict[str, Any]) -> None:
    """New people, sealed words and a file about each; every other one is ordered shredded."""
    from tests.vault.actors import Tenant
    from vault import keys, sealing

    state.setdefault("alive", {})
    state.setdefault("shredded", {})
    for number in range(PEOPLE):
        tenant = Tenant()
        sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
        _, blob = tenant.file(b"audio " * 10_000)
        [held] = keys.for_sealing(tenant.keys())
        person = {"organization": tenant.code, "code": tenant.anna, "sealed": sealed.hex(), "blob": blob.code}
        if number % 2:
            tenant.shred(tenant.anna)
            state["shredded"][held.key.reveal().hex()] = person
        else:
            state["alive"][tenant.anna] = person


def work(state: dict[str, Any]) -> None:
    """Shreds what is ordered and rotates; killed on the way, or it says how many moments there were to be killed at."""
    from tests.vault.killing import Statements
    from vault import rotation, shredding

    statements = Statements()
    statements.watch()
    if state.get("rotate first"):
        rotation.rotate()
        shredding.carry_out_orders()
    else:
        shredding.carry_out_orders()
        rotation.rotate()
    state["answers"] = 2 * statements.count


def verify(state: dict[str, Any]) -> None:
    """Everything else opens, nothing shredded does; whatever a kill left between."""
    from vault import sealing
    from vault.errors import KeyShredded
    from vault.models import SealedBlob

    for person in state["alive"].values():
        tenant = _tenant(person)
        assert sealing.open(tenant.context(), tenant.keys(), bytes.fromhex(person["sealed"])) == b"said"
        blob = SealedBlob.objects.get(code=person["blob"])
        context = tenant.context(scope="audio.store", row=blob.code, kind="recording")
        pieces = sealing.open_stream(context, tenant.keys(scope="audio.store"), blob)
        assert b"".join(pieces) == b"audio " * 10_000
    for person in state["shredded"].values():
        tenant = _tenant(person)
        try:
            sealing.open(tenant.context(), tenant.keys(), bytes.fromhex(person["sealed"]))
        except KeyShredded:
            continue
        raise AssertionError("something shredded opened")


def finish(state: dict[str, Any]) -> None:
    """Another process goes on: afterwards one epoch is left, and no key of anybody shredded is anywhere."""
    from tests.vault.backup_child import keys_that_open
    from vault import keys, rewrapped, rotation, shredding, status, storage
    from vault.models import DataKey, Epoch

    shredding.carry_out_orders()
    if rotation.under_way():
        rotation.rotate()
    newest = Epoch.objects.order_by("-number")[0].number
    assert keys.provider().epochs()[-1] in (newest, newest + 1)
    verify(state)
    assert not keys_that_open() & set(state["shredded"])
    assert {copy.id for copy in rewrapped.every()} <= set(DataKey.objects.values_list("pk", flat=True))
    for person in state["shredded"].values():
        assert not storage.path_of(person["blob"]).exists()
    found = status.look()
    assert (found.orders_open, found.rows_without_file, found.stray_keys, found.journal_waiting) == (0, 0, 0, 0)


def _tenant(person: dict[str, str]) -> Any:
    from tests.vault.actors import Tenant

    return Tenant(code=person["organization"], anna=person["code"])


def main() -> None:
    step, path = sys.argv[1], Path(sys.argv[2])
    django.setup()
    state = json.loads(path.read_text()) if path.exists() else {}
    {"seed": seed, "work": work, "verify": verify, "finish": finish}[step](state)
    path.write_text(json.dumps(state))


if __name__ == "__main__":
    main()
