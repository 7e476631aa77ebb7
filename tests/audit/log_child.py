"""What the drills of the log do as the service would, in processes of their own.

`python -m tests.audit.log_child STEP STATE` is one step (see `tests/installation.py`). `... write LOG STOP [slow]` commits events
until the file STOP is there, and prints their codes.
"""

import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import django


def write(log: str, stop: Path, *, slow: bool) -> None:
    """Commits events until `stop` is there; a slow writer keeps each of its transactions open for a while."""
    from django.db import transaction

    from audit import trail
    from audit.events import EventName

    actor = trail.system("drill")
    committed: list[str] = []
    while not stop.exists():
        with transaction.atomic():
            codes = [
                trail.record(EventName.SUBJECT_REGISTERED, organization=log, actor=actor)
                for _ in range(random.randint(1, 5))
            ]
            if slow:
                time.sleep(random.uniform(1.0, 4.0))
        committed += codes
        time.sleep(random.uniform(0.0, 0.02))
    sys.stdout.write(json.dumps(committed))


def verify(state: dict[str, Any]) -> None:
    """No event lost, none doubled, no gap, every checkpoint ever signed consistent with the newest."""
    from audit import outside, signing, stored_tree
    from audit.models import Event, Leaf, Log, SignedCheckpoint
    from audit.tlog.checkpoint import open_checkpoint
    from audit.tlog.merkle import Frontier, leaf_hash, verify_consistency
    from audit.tlog.notes import Ed25519Verifier
    from audit.tlog.proving import prove_consistency

    checkpoints = 0
    for code, committed in state["committed"].items():
        log = Log.objects.get(code=code)
        leaves = list(Leaf.objects.filter(log=log).order_by("index").select_related("event"))
        assert [leaf.index for leaf in leaves] == list(range(len(leaves)))
        there = Counter(str(leaf.event.code) for leaf in leaves)
        assert set(there.values()) <= {1}
        assert set(committed) <= set(there), "an acknowledged event is not in the log"
        assert Event.objects.filter(log=code).count() == len(leaves)
        tree = Frontier()
        tree.extend(leaf_hash(bytes(leaf.event.entry)) for leaf in leaves)
        verifier = Ed25519Verifier.parse(signing.verifier_key(log))
        notes = [bytes(one.note) for one in SignedCheckpoint.objects.filter(log=log).order_by("size")]
        newest = open_checkpoint(notes[-1], [verifier], log.origin)
        assert (newest.size, newest.root) == (len(leaves), tree.root())
        assert outside.last(code, 1) == notes[-1]
        for note in {*notes, *(seen.encode() for seen in state["seen"].get(code, ()))}:
            old = open_checkpoint(note, [verifier], log.origin)
            proof = prove_consistency(old.size, newest.size, stored_tree.reader(log, newest.size))
            verify_consistency(old.size, newest.size, proof, old.root, newest.root)
            checkpoints += 1
    state["answers"] = checkpoints


def record(state: dict[str, Any]) -> None:
    """Ten more events of an organization, and what the gate says of a person who consented."""
    from django.db import transaction

    from audit import trail
    from audit.events import EventName
    from consent.vocabulary import Scope
    from tests.factories import ACTOR, make_world

    if "organization" not in state:
        world = make_world()
        world.consent(Scope.TRANSCRIBE)
        state.update(organization=world.organization.code, project=world.project.code, purpose=world.purpose.code)
        state["subject"] = world.subject.code
    with transaction.atomic():
        for _ in range(10):
            trail.record(EventName.SUBJECT_REGISTERED, organization=state["organization"], actor=ACTOR)


def ask(state: dict[str, Any]) -> None:
    """Whether a read would be allowed now, and how many checkpoints there are."""
    from django.utils import timezone

    from accounts.models import Project
    from audit import trail
    from audit.errors import ServiceClosed
    from audit.models import SignedCheckpoint
    from consent import gate
    from consent.vocabulary import Action, Context, ParticipantRole, Scope

    request = gate.GateRequest(
        project=Project.objects.get(code=state["project"]).pk,
        purpose=state["purpose"],
        context=Context.SUPPORT,
        jurisdiction="unknown",
        recorded_at=timezone.now(),
        participants=(gate.Participant(state["subject"], ParticipantRole.CUSTOMER),),
        scopes=(Scope.TRANSCRIBE,),
    )
    try:
        gate.require(request, action=Action.READ, actor=trail.system("drill"))
        answer = "allowed"
    except ServiceClosed as closed:
        answer = closed.code
    state["answers"] = {"read": answer, "checkpoints": SignedCheckpoint.objects.count()}


def main() -> None:
    django.setup()
    if sys.argv[1] == "write":
        write(sys.argv[2], Path(sys.argv[3]), slow="slow" in sys.argv[4:])
        return
    step, path = sys.argv[1], Path(sys.argv[2])
    state = json.loads(path.read_text()) if path.exists() else {}
    {"verify": verify, "record": record, "ask": ask}[step](state)
    path.write_text(json.dumps(state))


if __name__ == "__main__":
    main()
