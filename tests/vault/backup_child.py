"""What the backup drill does as the service would, in processes of their own: `python -m tests.vault.backup_child STEP STATE`.

STATE is a JSON file in which a step leaves what the next ones need. Sealed bytes in it stand for rows of the database that is
restored; raw keys in it are what an attacker would have to find.
"""

import json
import sys
from pathlib import Path
from typing import Any

import django


def begin(state: dict[str, Any]) -> None:
    """Two people consent, and something is sealed about each."""
    from consent.vocabulary import Scope
    from tests.factories import make_world
    from vault import keys, sealing
    from vault.context import Context
    from vault.keys import KeyName

    world = make_world()
    people = {"anna": world.another_subject("A-1"), "ben": world.another_subject("B-2")}
    state.update(
        project=world.project.code, purpose=world.purpose.code, people={}, organization=world.organization.code
    )
    for name, person in people.items():
        world.consent(Scope.TRANSCRIBE, subject=person)
        context = Context(world.organization.code, (person.code,), Scope.TRANSCRIBE.value, "note", "body", "row")
        key = KeyName.subject(world.organization.code, person.code, Scope.TRANSCRIBE.value)
        sealed = sealing.seal(context, [key], f"said by {name}".encode())
        [held] = keys.for_sealing([key])
        state["people"][name] = {"code": person.code, "sealed": sealed.hex(), "raw": held.key.reveal().hex()}


def withdraw(state: dict[str, Any]) -> None:
    """Anna withdraws, and her keys are shredded."""
    from audit import trail
    from consent import withdrawal
    from consent.models import Subject
    from vault import shredding

    withdrawal.withdraw(Subject.objects.get(code=state["people"]["anna"]["code"]), actor=trail.system("drill"))
    shredding.carry_out_orders()


def probe(state: dict[str, Any]) -> None:
    """What can be read, what the gate says, and which raw keys come out of all that the provider still opens."""
    from django.utils import timezone

    from accounts.models import Project
    from consent import gate
    from consent.vocabulary import Context as Use
    from consent.vocabulary import ParticipantRole, Scope
    from vault import rewrapped, sealing
    from vault.context import Context
    from vault.errors import VaultError
    from vault.keys import KeyName

    answers: dict[str, Any] = {}
    for name, person in state["people"].items():
        organization, scope = state["organization"], Scope.TRANSCRIBE
        context = Context(organization, (person["code"],), scope.value, "note", "body", "row")
        key = KeyName.subject(organization, person["code"], scope.value)
        try:
            opened = sealing.open(context, [key], bytes.fromhex(person["sealed"])).decode()
        except VaultError as error:
            opened = error.code
        verdict = gate.evaluate(
            gate.GateRequest(
                project=Project.objects.get(code=state["project"]).pk,
                purpose=state["purpose"],
                context=Use.SUPPORT,
                jurisdiction="unknown",
                recorded_at=timezone.now(),
                participants=(gate.Participant(person["code"], ParticipantRole.CUSTOMER),),
                scopes=(scope,),
            )
        )
        answers[name] = {"opened": opened, "allowed": verdict.allowed, "why": [d.reason.value for d in verdict.denials]}
    found = keys_that_open()
    for name, person in state["people"].items():
        answers[name]["key_found"] = person["raw"] in found
    answers["copies"] = len(list(rewrapped.every()))
    state["answers"] = answers


def keys_that_open() -> set[str]:
    """Every data key that rows and copies give up, each tried under every epoch that the provider holds."""
    from vault import keys, rewrapped
    from vault.errors import VaultError
    from vault.models import DataKey

    provider = keys.provider()
    found: set[str] = set()
    for row in DataKey.objects.all():
        copies = rewrapped.find([row.pk]).values()
        for wrapped in {bytes(row.wrapped), *(copy.wrapped for copy in copies)}:
            for epoch in (0, *provider.epochs()):
                try:
                    found.add(provider.unwrap(epoch, wrapped, keys.binding_of(row)).reveal().hex())
                except VaultError:
                    continue
    return found


def main() -> None:
    step, path = sys.argv[1], Path(sys.argv[2])
    django.setup()
    state = json.loads(path.read_text()) if path.exists() else {}
    {"begin": begin, "withdraw": withdraw, "probe": probe}[step](state)
    path.write_text(json.dumps(state))


if __name__ == "__main__":
    main()
