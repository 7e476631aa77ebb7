"""The key provider's settings: what each kind needs, and the one sentence where something is missing or wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from vault import provider_choice
from voxgov import key_settings
from voxgov.environment import SettingInvalid, SettingMissing, SettingProblem

ROOT = Path(__file__).resolve().parents[2]
TRANSIT = {"VOXGOV_KEY_PROVIDER": "transit", "VAULT_ADDR": "https://vault.example:8200/", "VAULT_TOKEN": "hvs.secret"}
KMS = {"VOXGOV_KEY_PROVIDER": "kms", "AWS_REGION": "eu-central-1"}
NAMES = [
    *("VOXGOV_KEYRING", "VOXGOV_KEY_PREFIX", "VOXGOV_KEY_PROVIDER_TIMEOUT", "VOXGOV_TRANSIT_MOUNT", "VAULT_TOKEN_FILE"),
    *("VAULT_CACERT", "VAULT_NAMESPACE", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "VOXGOV_KMS_ENDPOINT"),
    "VOXGOV_KMS_DELETION_DAYS",
    *TRANSIT,
    *KMS,
]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VOXGOV_VAR", str(tmp_path))
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def chosen(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> dict[str, str]:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return key_settings.key_provider()


def test_the_default_is_a_keyring_under_the_var_directory(tmp_path: Path) -> None:
    assert key_settings.key_provider() == {"kind": "keyring", "path": str(tmp_path / "secrets" / "keyring.json")}


def test_transit_by_the_names_of_its_own_tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    more = {"VAULT_CACERT": str(tmp_path / "ca.pem"), "VAULT_NAMESPACE": "team/voice", "VOXGOV_TRANSIT_MOUNT": "a/b"}
    assert chosen(monkeypatch, TRANSIT | more | {"VOXGOV_KEY_PREFIX": "vox-test"}) == {
        "kind": "transit",
        "prefix": "vox-test",
        "patience": "5",
        "address": "https://vault.example:8200",
        "token": "hvs.secret",
        "token_file": "",
        "certificates": str(tmp_path / "ca.pem"),
        "namespace": "team/voice",
        "mount": "a/b",
    }


def test_a_tokens_file_is_left_to_the_provider_even_before_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN_FILE", "/run/not-yet/token")
    settings = chosen(monkeypatch, {name: value for name, value in TRANSIT.items() if name != "VAULT_TOKEN"})
    assert (settings["token"], settings["token_file"]) == ("", "/run/not-yet/token")


def test_the_token_is_not_shown_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = chosen(monkeypatch, TRANSIT)
    assert settings["token"] == "hvs.secret"
    assert "hvs.secret" not in repr(settings)


def test_kms_in_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(monkeypatch, KMS | {"VOXGOV_KMS_DELETION_DAYS": "30", "VOXGOV_KEY_PROVIDER_TIMEOUT": "9"}) == {
        "kind": "kms",
        "prefix": "voxgov",
        "patience": "9",
        "region": "eu-central-1",
        "endpoint": "",
        "deletion_days": "30",
        "certificates": "",
    }


def test_the_regions_other_name_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    found = chosen(monkeypatch, {"VOXGOV_KEY_PROVIDER": "kms", "AWS_DEFAULT_REGION": "eu-west-3"})
    assert found["region"] == "eu-west-3"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"VOXGOV_KEY_PROVIDER": "transit", "VAULT_TOKEN": "x"}, "VAULT_ADDR"),
        ({"VOXGOV_KEY_PROVIDER": "transit", "VAULT_ADDR": "https://vault.example"}, "VAULT_TOKEN"),
        (TRANSIT | {"VAULT_ADDR": ""}, "VAULT_ADDR"),
        (TRANSIT | {"VAULT_TOKEN": ""}, "VAULT_TOKEN"),
        ({"VOXGOV_KEY_PROVIDER": "kms"}, "AWS_REGION"),
    ],
)
def test_what_is_missing_stops_the_start(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], named: str) -> None:
    with pytest.raises(SettingMissing, match=f"^{named} is not set") as stopped:
        chosen(monkeypatch, settings)
    assert "\n" not in str(stopped.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"VOXGOV_KEY_PROVIDER": "vault"},
        {"VOXGOV_KEY_PROVIDER": "KMS"},
        {"VOXGOV_KEY_PROVIDER": ""},
        TRANSIT | {"VAULT_ADDR": "http://vault.example:8200"},
        TRANSIT | {"VAULT_ADDR": "http://127.0.0.1.example"},
        TRANSIT | {"VAULT_ADDR": "vault.example:8200"},
        TRANSIT | {"VAULT_ADDR": "https://"},
        TRANSIT | {"VAULT_ADDR": "https://[vault"},
        TRANSIT | {"VAULT_NAMESPACE": "two words"},
        TRANSIT | {"VAULT_ADDR": "https://vault.example:many"},
        TRANSIT | {"VAULT_ADDR": "https://vault.example/v1"},
        TRANSIT | {"VAULT_ADDR": "https://vault.example?x=1"},
        TRANSIT | {"VAULT_ADDR": "https://user:hunter2@vault.example"},
        TRANSIT | {"VAULT_ADDR": "unix:///run/vault.sock"},
        TRANSIT | {"VAULT_TOKEN_FILE": "/run/token"},
        TRANSIT | {"VAULT_CACERT": "/nowhere/ca.pem"},
        TRANSIT | {"VOXGOV_TRANSIT_MOUNT": "../sys"},
        TRANSIT | {"VOXGOV_KEY_PREFIX": "a/b"},
        TRANSIT | {"VOXGOV_KEY_PREFIX": ""},
        TRANSIT | {"VOXGOV_KEY_PROVIDER_TIMEOUT": "0"},
        TRANSIT | {"VOXGOV_KEY_PROVIDER_TIMEOUT": "61"},
        KMS | {"AWS_REGION": "eu central"},
        KMS | {"VOXGOV_KMS_ENDPOINT": "http://kms.example"},
        KMS | {"VOXGOV_KMS_DELETION_DAYS": "6"},
        KMS | {"VOXGOV_KMS_DELETION_DAYS": "31"},
        KMS | {"VOXGOV_KMS_DELETION_DAYS": "a week"},
        KMS | {"VOXGOV_KEY_PREFIX": "aws"},
        KMS | {"AWS_CA_BUNDLE": "/nowhere/ca.pem"},
    ],
    ids=lambda settings: " ".join(f"{name}={value}" for name, value in settings.items()),
)
def test_what_makes_no_sense_stops_the_start(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    with pytest.raises(SettingInvalid) as stopped:
        chosen(monkeypatch, settings)
    assert "\n" not in str(stopped.value)
    assert "hunter2" not in str(stopped.value)


def test_kms_without_its_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_settings, "find_spec", lambda name: None)
    with pytest.raises(SettingInvalid, match=r"requirements/kms\.lock"):
        chosen(monkeypatch, KMS)


def test_http_is_taken_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("http://127.0.0.1:8200", "http://localhost:8200"):
        assert chosen(monkeypatch, TRANSIT | {"VAULT_ADDR": address})["address"] == address


@pytest.mark.parametrize("settings", [{}, TRANSIT, KMS], ids=["keyring", "transit", "kms"])
def test_every_kind_makes_its_provider(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    found = chosen(monkeypatch, settings)
    assert repr(provider_choice.make(found)).lower().startswith(found["kind"])


@pytest.mark.parametrize(
    ("settings", "loaded"),
    [({}, []), (TRANSIT, ["httpcore"]), (KMS, ["botocore", "httpcore"])],
    ids=["keyring", "transit", "kms"],
)
def test_a_library_is_loaded_only_where_its_provider_is_chosen(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], loaded: list[str]
) -> None:
    program = (
        "import sys; from vault import provider_choice; from voxgov import key_settings;"
        "provider_choice.make(key_settings.key_provider());"
        "print(sorted({'boto3', 'botocore', 'httpcore', 'httpx', 'django'} & set(sys.modules)))"
    )
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == str(loaded)


def test_an_unknown_kind_is_no_provider() -> None:
    assert issubclass(SettingInvalid, SettingProblem)
    with pytest.raises(ValueError, match="no key provider"):
        provider_choice.make({"kind": "abacus"})
