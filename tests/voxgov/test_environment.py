"""Settings from the environment: where a value is looked for, and the sentence when it is not there."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from voxgov import environment


@pytest.fixture(autouse=True)
def own_var(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("VOXGOV_VAR", str(tmp_path))
    return tmp_path


def test_a_missing_secret_stops_the_start_with_a_sentence_that_says_what_to_do() -> None:
    with pytest.raises(environment.SettingMissing) as stopped:
        environment.secret("SOME_SECRET")
    assert isinstance(stopped.value, SystemExit)
    assert "set SOME_SECRET_FILE" in str(stopped.value)


def test_a_process_without_its_secret_prints_one_line_and_no_traceback(tmp_path: Path) -> None:
    script = "from voxgov import environment; environment.secret('SOME_SECRET')"
    surroundings = {"VOXGOV_VAR": str(tmp_path), **_path()}
    ended = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, env=surroundings
    )
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("SOME_SECRET is not set")


def test_a_secret_comes_from_the_file_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv("SOME_SECRET_FILE", str(tmp_path / "secret"))
    assert environment.secret("SOME_SECRET") == "from a file"


def test_a_file_that_is_not_there_is_named_in_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET_FILE", "/nowhere/at/all")
    with pytest.raises(environment.SettingInvalid, match="/nowhere/at/all"):
        environment.secret("SOME_SECRET")


def test_a_value_and_a_file_for_the_same_name_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("one")
    monkeypatch.setenv("SOME_SECRET", "two")
    monkeypatch.setenv("SOME_SECRET_FILE", str(tmp_path / "secret"))
    with pytest.raises(environment.SettingInvalid, match="keep one"):
        environment.secret("SOME_SECRET")


def test_what_the_embedded_services_noted_is_the_last_resort(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.write_recorded(tmp_path, {"SOME_SECRET": "noted = with a sign"})
    assert environment.secret("SOME_SECRET") == "noted = with a sign"
    monkeypatch.setenv("SOME_SECRET", "from the environment")
    assert environment.secret("SOME_SECRET") == "from the environment"


@pytest.mark.parametrize("value", ["twelve", "-1", "1.5", ""])
def test_a_number_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SOME_NUMBER", value)
    with pytest.raises(environment.SettingInvalid, match="SOME_NUMBER"):
        environment.integer("SOME_NUMBER", 3)


@pytest.mark.parametrize(("value", "meaning"), [("1", True), ("Yes", True), ("0", False), ("off", False)])
def test_a_flag_is_read(monkeypatch: pytest.MonkeyPatch, value: str, meaning: bool) -> None:
    monkeypatch.setenv("SOME_FLAG", value)
    assert environment.flag("SOME_FLAG", default=not meaning) is meaning


def test_a_flag_that_is_neither_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_FLAG", "perhaps")
    with pytest.raises(environment.SettingInvalid, match="SOME_FLAG"):
        environment.flag("SOME_FLAG", default=True)


def test_words_stand_between_commas_or_spaces_and_only_those_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_WORDS", "one, two three")
    assert environment.words("SOME_WORDS") == ["one", "two", "three"]
    with pytest.raises(environment.SettingInvalid, match="'three', which is none of one, two"):
        environment.words("SOME_WORDS", among=["one", "two"])
    assert environment.words("NO_WORDS", among=["one"]) == []


def test_a_file_that_a_setting_names_is_read_or_missed_in_one_sentence(tmp_path: Path) -> None:
    assert environment.contents("", "SOME_FILE") == ""
    (tmp_path / "own.toml").write_text("schema = 1\n")
    assert environment.contents(str(tmp_path / "own.toml"), "SOME_FILE") == "schema = 1\n"
    with pytest.raises(environment.SettingInvalid, match=r"SOME_FILE names .*gone"):
        environment.contents(str(tmp_path / "gone"), "SOME_FILE")


def test_a_database_on_a_unix_socket_becomes_an_entry_for_django() -> None:
    entry = environment.database_from_url("postgresql://app:p%40ss%2Fword@/voxgov?host=/run/a%20b&sslmode=disable")
    assert entry["NAME"] == "voxgov"
    assert entry["USER"] == "app"
    assert entry["PASSWORD"] == "p@ss/word"
    assert entry["HOST"] == "/run/a b"
    assert entry["OPTIONS"] == {"sslmode": "disable", "prepare_threshold": 1}
    assert entry["ATOMIC_REQUESTS"] is False


def test_a_database_on_the_network_becomes_an_entry_for_django() -> None:
    entry = environment.database_from_url("postgresql://app@db.example.org:6432/voxgov")
    assert (entry["HOST"], entry["PORT"], entry["PASSWORD"]) == ("db.example.org", "6432", "")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///voxgov.db",
        "mysql://app@host/voxgov",
        "postgresql://app:hunter2@host/",
        "postgresql://app:hunter2@host:many/voxgov",
        "postgresql://app:hunter2@host/voxgov/more",
        "postgresql://app:hunter2@host/voxgov?sslmode",
    ],
)
def test_another_database_or_a_broken_address_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("SOME_DATABASE", url)
    with pytest.raises(environment.SettingInvalid) as refused:
        environment.database("SOME_DATABASE")
    assert "SOME_DATABASE" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    first = environment.create_secrets(tmp_path)
    made = Path(first["SECRET_KEY_FILE"])
    content = made.read_text()
    environment.create_secrets(tmp_path)
    assert made.read_text() == content
    assert len(content) > 50
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700


def test_a_private_file_is_never_readable_by_others_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        environment.write_private(tmp_path / "private", "content")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600


def test_a_setting_of_ours_replaces_the_callers_in_both_forms() -> None:
    inherited = {"DATABASE_URL_FILE": "/theirs", "BROKER_URL": "theirs", "PATH": "/bin"}
    ours = {"DATABASE_URL": "ours", "BROKER_URL": "ours"}
    assert environment.surroundings(inherited, ours) == {"PATH": "/bin", **ours}


def _path() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(environment.__file__).parent.parent)}
