"""Yesterday's backup comes back after somebody withdrew: it brings neither their words nor their consent back.

Real dumps of both databases, restored into a real server, with the service's own commands between.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installation import Service, installation

pytestmark = [pytest.mark.drill, pytest.mark.services]


@pytest.fixture
def service(var: Path) -> Iterator[Service]:
    with installation(var / "backup-drill") as service:
        yield service


def test_a_restored_backup_revives_nobody_unless_yesterdays_keyring_comes_with_it(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.step("vault.backup_child", "begin")
    before = service.step("vault.backup_child", "probe")
    assert before["anna"] == {"opened": "said by anna", "allowed": True, "why": [], "key_found": True}
    service.dump(tmp_path / "backup")

    service.step("vault.backup_child", "withdraw")
    service.manage("vault", "rotate")
    after = service.step("vault.backup_child", "probe")
    assert after["anna"] == {"opened": "data_destroyed", "allowed": False, "why": ["withdrawn"], "key_found": False}
    assert after["ben"] == {"opened": "said by ben", "allowed": True, "why": [], "key_found": True}

    service.restore(tmp_path / "backup")
    restored = service.step("vault.backup_child", "probe")
    assert restored["anna"]["opened"] == "key_epoch_destroyed"
    assert not restored["anna"]["key_found"], "all that the provider still holds does not give her key"
    assert "run `manage.py vault recover`" in service.manage("vault", "status")

    said = service.manage("vault", "recover")
    recovered = service.step("vault.backup_child", "probe")
    assert recovered["anna"] == {"opened": "data_destroyed", "allowed": False, "why": ["withdrawn"], "key_found": False}
    assert recovered["ben"] == {"opened": "said by ben", "allowed": True, "why": [], "key_found": True}
    assert service.manage("vault", "recover").splitlines()[0].endswith(" 0 of them were not in this database")
    service.manage("vault", "status", "--check")

    # The second drill: a copy of the keyring from before the rotation, kept against all advice, does revive.
    service.restore(tmp_path / "backup")
    shutil.copy(tmp_path / "backup" / "keyring.json", service.keyring)
    revived = service.step("vault.backup_child", "probe")
    assert revived["anna"] == {"opened": "said by anna", "allowed": True, "why": [], "key_found": True}
    service.manage("vault", "recover")
    closed = service.step("vault.backup_child", "probe")
    assert closed["anna"] == {"opened": "data_destroyed", "allowed": False, "why": ["withdrawn"], "key_found": False}
    with capsys.disabled():
        print(
            f"\n  backup drill: {said.strip().replace(chr(10), '; ')}; with yesterday's keyring it revives until then"
        )
