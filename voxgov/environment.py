"""Where settings come from: the process environment, a file named by `NAME_FILE`, or what the embedded services noted.

A name is looked for in this order: `NAME`, the contents of the file that `NAME_FILE` names (secrets handed over by an
orchestrator), and `run/environment` under the var directory, which `deploy/quickstart` and `deploy/test` write for the
services that they start, so that `manage.py` works beside them with nothing to configure. What is missing or makes no
sense stops the start with one sentence. Which settings exist, and what they mean, is in `voxgov/settings.py`; this
module imports no Django.
"""

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

RECORDED = Path("run") / "environment"
"""Under the var directory; lines of `NAME=value`, mode 0600, written by `write_recorded`."""

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


class SettingProblem(SystemExit):
    """A start that cannot go on. A `SystemExit`, so that who starts the process reads the sentence and no traceback."""

    error_code: ClassVar[str] = "setting_invalid"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class SettingMissing(SettingProblem):
    error_code: ClassVar[str] = "setting_missing"


class SettingInvalid(SettingProblem):
    pass


def var_dir() -> Path:
    """The directory for all that voxgov writes: `VOXGOV_VAR`, or `var` in the repository. Absolute; may not exist."""
    given = os.environ.get("VOXGOV_VAR", "")
    return Path(given).expanduser().resolve() if given else Path(__file__).resolve().parent.parent / "var"


def models_dir() -> Path:
    """Where the model pack lies: `VOXGOV_MODELS`, or `models` under the var directory."""
    given = _find("VOXGOV_MODELS")
    return Path(given).expanduser().resolve() if given else var_dir() / "models"


def secret(name: str) -> str:
    """A value without which nothing may start.

    Raises:
        SettingMissing: it is nowhere, or empty.
        SettingInvalid: its file cannot be read, or it is given twice.
    """
    value = _find(name)
    if not value:
        raise SettingMissing(
            f"{name} is not set: set it in the environment, or set {name}_FILE to the path of a file that holds it, "
            f"or run deploy/quickstart, which makes one under {var_dir()}."
        )
    return value


def text(name: str, default: str) -> str:
    value = _find(name)
    return default if value is None else value


def words(name: str, *, among: Sequence[str] = ()) -> list[str]:
    """Words with commas or spaces between them; none by default. Where `among` is given, no other is accepted."""
    given = text(name, "").replace(",", " ").split()
    unknown = [word for word in given if among and word not in among]
    if unknown:
        raise SettingInvalid(f"{name} names {unknown[0]!r}, which is none of {', '.join(among)}: correct it.")
    return given


def contents(path: str, name: str) -> str:
    """The text of the file that the setting `name` gives the path of; nothing where the path is empty."""
    try:
        return Path(path).read_text(encoding="utf-8") if path else ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingInvalid(f"{name} names {path}, which cannot be read ({reason}): correct the path.") from None


def integer(name: str, default: int, *, at_least: int = 0, at_most: int | None = None) -> int:
    value = _find(name)
    if value is None:
        return default
    try:
        number = int(value)
    except ValueError:
        raise SettingInvalid(f"{name} must be a whole number, not {value!r}: correct it in the environment.") from None
    if number < at_least:
        raise SettingInvalid(f"{name} must be at least {at_least}, not {number}: correct it in the environment.")
    if at_most is not None and number > at_most:
        raise SettingInvalid(f"{name} must be at most {at_most}, not {number}: correct it in the environment.")
    return number


def flag(name: str, *, default: bool) -> bool:
    value = _find(name)
    if value is None:
        return default
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise SettingInvalid(
        f"{name} must be 1 or 0 (or true, false, yes, no), not {value!r}: correct it in the environment."
    )


def database(name: str) -> dict[str, Any]:
    """One entry of Django's `DATABASES` from the URL in `name`, as `database_from_url` reads it."""
    url = secret(name)
    try:
        return database_from_url(url)
    except ValueError as error:
        raise SettingInvalid(
            f"{name} {error}; it should look like postgresql://user:password@host:5432/name."
        ) from None


def database_from_url(url: str) -> dict[str, Any]:
    """`postgresql://user:password@host:port/name?option=value` as an entry of Django's `DATABASES`.

    A host that is a directory with a Unix socket goes into the query: `postgresql://user:password@/name?host=/run/postgres`.
    Other query parameters become connection options (`sslmode`, `sslrootcert`, `connect_timeout`, `application_name`);
    `prepare=off` is for a pooler between us and PostgreSQL that cannot keep prepared statements apart.

    Raises:
        ValueError: it is no such URL. The message never repeats the URL, which holds a password.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ValueError("must begin with postgresql://: PostgreSQL is the only database that voxgov runs on")
    name = unquote(parts.path.removeprefix("/"))
    if not name or "/" in name:
        raise ValueError("must end with the name of one database")
    options = {key: values[-1] for key, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
    try:
        port = str(parts.port or "")
    except ValueError:
        raise ValueError("has a port that is no number") from None
    prepare = options.pop("prepare", "on")
    if prepare not in {"on", "off"}:
        raise ValueError("says neither prepare=on nor prepare=off")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", None) or unquote(parts.hostname or ""),
        "PORT": options.pop("port", None) or port,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
        # Not used by Django's own cursors, but by who prepares a statement by hand: `audit.trail`.
        "OPTIONS": {**options, "prepare_threshold": 1 if prepare == "on" else None},
    }


def witnesses() -> list[tuple[str, str]]:
    """Who is asked to cosign checkpoints: `VOXGOV_WITNESSES`, lines or commas between `VKEY URL` pairs; none by default."""
    pairs = [line.split() for line in text("VOXGOV_WITNESSES", "").replace(",", "\n").splitlines() if line.strip()]
    for pair in pairs:
        if len(pair) != 2 or not pair[1].startswith(("https://", "http://")):
            raise SettingInvalid("VOXGOV_WITNESSES names a verifier key and an address for each witness: correct it.")
    return [(vkey, url) for vkey, url in pairs]


def audit_days() -> int:
    """How long audit events are kept, in days: `VOXGOV_AUDIT_DAYS`, at least 365; 0, the default, keeps them for good."""
    days = integer("VOXGOV_AUDIT_DAYS", 0)
    if 0 < days < 365:
        raise SettingInvalid("VOXGOV_AUDIT_DAYS must be 0 (for good) or at least 365: correct it in the environment.")
    return days


def create_secrets(var: Path) -> dict[str, str]:
    """Makes `secrets/` (0700) and each secret in it (0600) that is not there yet; answers the settings that name them.

    The vault's keyring is not made here: `manage.py vault init` knows its format.
    """
    directory = var / "secrets"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    keep_secret(directory / "django-secret-key", lambda: secrets.token_urlsafe(50))
    return {"SECRET_KEY_FILE": str(directory / "django-secret-key")}


def _random() -> str:
    return secrets.token_urlsafe(32)


def keep_secret(path: Path, make: Callable[[], str] = _random) -> str:
    """The secret in `path`, made and kept there (0600, synced) the first time. Two processes that race get the same."""
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        write_private(draft, make() + "\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


def write_private(path: Path, content: str) -> None:
    """Writes a file that only its owner may read (0600), synced and in one step: a crash leaves the old or the new."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def write_recorded(var: Path, settings: Mapping[str, str]) -> Path:
    """Writes `run/environment` for the services under `var` and for whatever runs beside them."""
    for name, value in settings.items():
        if "\n" in value or "=" in name:
            raise SettingInvalid(f"{name} cannot be written down: its value has a line break or its name a sign.")
    path = var / RECORDED
    write_private(path, "".join(f"{name}={value}\n" for name, value in sorted(settings.items())))
    _recorded.cache_clear()
    return path


def read_recorded(var: Path) -> dict[str, str]:
    """What `write_recorded` wrote, or nothing."""
    return dict(_recorded(var / RECORDED))


def surroundings(inherited: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child: `inherited` with `settings`, which win over what was set for the same names."""
    named = {name.removesuffix("_FILE") for name in settings}
    others = {name: value for name, value in inherited.items() if name.removesuffix("_FILE") not in named}
    return {**others, **settings}


@lru_cache(maxsize=4)
def _recorded(path: Path) -> Mapping[str, str]:
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingInvalid(
            f"{path} cannot be read ({error.strerror}): give it back to the user who runs voxgov."
        ) from None
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _find(name: str) -> str | None:
    value, file = looked_up(name)
    if value is None and file is not None:
        try:
            return Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise SettingInvalid(
                f"{name}_FILE names {file}, which cannot be read ({reason}): correct the path."
            ) from None
    return value


def looked_up(name: str) -> tuple[str | None, str | None]:
    """The value of `name`, or the path that `NAME_FILE` holds, for a file that is to be read more than once."""
    value, file = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if value is not None and file is not None:
        raise SettingInvalid(f"{name} and {name}_FILE are both set: keep one of them.")
    if value is None and file is None:
        recorded = _recorded(var_dir() / RECORDED)
        value, file = recorded.get(name), recorded.get(f"{name}_FILE")
    return value, file
