"""The log under fire: sequencers killed while eight processes write, and a database that is suddenly yesterday's."""

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installation import Service, installation
from vault.codes import new_code

pytestmark = [pytest.mark.drill, pytest.mark.services]
ROUNDS = int(os.environ.get("VOXGOV_DRILL_ROUNDS", "5"))


@pytest.fixture
def service(var: Path) -> Iterator[Service]:
    with installation(var / "log-drill") as service:
        yield service


def test_a_sequencer_killed_at_any_instant_loses_no_event_and_leaves_no_gap(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = [new_code(), new_code()]
    stop = tmp_path / "stop"
    writers = [
        (log, service.start("-m", "tests.audit.log_child", "write", log, str(stop), *(["slow"] if number == 0 else [])))
        for number, log in enumerate(random.choices(logs, k=6) + logs)
    ]
    seen: dict[str, set[str]] = {log: set() for log in logs}
    for number in range(ROUNDS):
        sequencer = service.start("manage.py", "sequencer")
        other = service.start("manage.py", "sequencer") if number % 2 else None
        look(service, seen, until_new=True)
        time.sleep(random.uniform(0.0, 1.0))
        look(service, seen)
        for one in (sequencer, other):
            if one is not None:
                os.killpg(one.pid, signal.SIGKILL)
                one.wait()
    stop.touch()
    committed: dict[str, list[str]] = {log: [] for log in logs}
    for log, writer in writers:
        committed[log] += json.loads(writer.communicate(timeout=60)[0])
    service.manage("sequencer", "--once")
    service.change_state(
        lambda state: state.update(committed=committed, seen={log: sorted(notes) for log, notes in seen.items()})
    )
    checkpoints = service.step("audit.log_child", "verify")
    assert checkpoints > ROUNDS
    with capsys.disabled():
        count = sum(map(len, committed.values()))
        print(
            f"\n  sequencer killed {ROUNDS} times under 8 writers: {count} events, each once, no gap;"
            f" {checkpoints} checkpoints, all consistent with the newest"
        )


def look(service: Service, seen: dict[str, set[str]], *, until_new: bool = False) -> None:
    """Notes the checkpoints that an outsider sees now, or waits for the first that is new: the sequencer is at work."""
    began = time.monotonic()
    before = sum(map(len, seen.values()))
    while True:
        for log, notes in seen.items():
            for path in (service.var / "checkpoints").glob(f"{log}.*.checkpoint"):
                notes.add(path.read_text())
        if not until_new or sum(map(len, seen.values())) > before:
            return
        assert time.monotonic() - began < 60, "no sequencer signs anything"
        time.sleep(0.05)


def test_a_database_that_went_back_signs_nothing_and_serves_nothing_until_it_is_recovered(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.step("audit.log_child", "record")
    service.manage("sequencer", "--once")
    service.dump(tmp_path / "backup")
    service.step("audit.log_child", "record")
    service.manage("sequencer", "--once")
    assert service.step("audit.log_child", "ask")["read"] == "allowed"

    service.restore(tmp_path / "backup")
    before = service.step("audit.log_child", "ask")
    assert before["read"] == "service_closed"
    sequencer = service.start("manage.py", "sequencer")
    time.sleep(4.0)
    sequencer.terminate()
    sequencer.wait()
    assert service.step("audit.log_child", "ask") == before, "nothing was signed meanwhile"
    assert "audit recover" in service.refused("audit", "status")

    said = service.manage("audit", "recover")
    after = service.step("audit.log_child", "ask")
    assert after["read"] == "allowed"
    assert after["checkpoints"] > before["checkpoints"]
    assert "goes on from here" in said
    service.step("audit.log_child", "record")
    service.manage("sequencer", "--once")
    service.manage("audit", "status")
    with capsys.disabled():
        print("\n  rollback drill: closed, nothing signed, nothing served; recovered under a new origin")
