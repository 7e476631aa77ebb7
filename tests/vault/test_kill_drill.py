"""SIGKILL at random moments of shredding and rotation, each statement's before and after among them: everything else still opens,
nothing shredded does, and the next process goes on to the end."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installation import Service, installation

pytestmark = [pytest.mark.drill, pytest.mark.services]
ROUNDS = int(os.environ.get("VOXGOV_DRILL_ROUNDS", "5"))


@pytest.fixture
def service(var: Path) -> Iterator[Service]:
    with installation(var / "kill-drill") as service:
        yield service


def test_a_kill_at_any_moment_of_shredding_and_rotation_loses_nothing_and_revives_nothing(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.step("vault.kill_child", "seed")
    moments = service.step("vault.kill_child", "work")
    service.step("vault.kill_child", "finish")
    killed = 0
    for number in range(ROUNDS):
        service.step("vault.kill_child", "seed")
        service.change_state(lambda state: state.update({"rotate first": random.random() < 0.5}))
        at = random.randint(1, moments)
        killed += service.killed_step("vault.kill_child", "work", moment=at)
        service.step("vault.kill_child", "verify")
        service.step("vault.kill_child", "finish")
        with capsys.disabled():
            print(f"\n  vault killed at moment {at} of {moments}, round {number + 1}/{ROUNDS}: whole", end="")
    assert killed >= ROUNDS * 0.8
    with capsys.disabled():
        print(f"\n  {killed} of {ROUNDS} rounds were killed; nothing was lost and nothing shredded opened")
