"""`python -m audit.verify BUNDLE --key VKEY`: the verifier's command. Exit status 0: verified; 1: not verified; 2: not checked.

Arguments, files and printing only; what is checked is decided in `bundle`, `live` and `receipt`.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, Final

from audit.errors import CheckImpossible, KeyInvalid, LogInvalid
from audit.export import container, sealed
from audit.secret_file import read_secret, write_secret
from audit.verify.bundle import verify_bundle
from audit.verify.live import http_get, verify_live
from audit.verify.receipt import verify_receipt
from audit.verify.report import Check, Outcome, Report, Result
from audit.verify.trust import Trust

_MAX_ARGUMENT_BYTES: Final = 2 * 1024 * 1024
EPILOG: Final = """\
Exit status: 0 when everything that was asked for holds, 1 when something does not, 2 when it could not be checked.
The key must come from somewhere else than the bundle: ask whoever runs the log, and ask twice."""


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    try:
        if given.new_key:
            return _make_key(given.new_key)
        report = _run(given)
    except CheckImpossible as error:
        report = Report("Check", checks=[Check("arguments", Outcome.NOT_CHECKED, str(error))])
    except LogInvalid as error:
        report = Report("Bundle", checks=[Check("container", Outcome.FAILED, str(error))])
    except Exception as error:
        # A verifier that dies of what it reads must not look like one that is content.
        said = f"the verifier itself failed, which is an error in it: {type(error).__name__}: {error}"
        report = Report("Check", checks=[Check("verifier", Outcome.NOT_CHECKED, said)])
    _print(json.dumps(report.as_json(), indent=1) + "\n" if given.json else report.as_text())
    return report.result.status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voxgov-verify",
        description="Verifies an export bundle of a voxgov audit log, or a running log, without trusting its operator.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "bundle", nargs="?", type=Path, metavar="BUNDLE", help="a bundle: a directory, a .zip, or a sealed one"
    )
    what.add_argument("--live", metavar="URL", help="check the running log at this address instead of a bundle")
    what.add_argument("--new-key", type=Path, metavar="FILE", help="make a key that bundles can be sealed to, and stop")
    parser.add_argument(
        "--key", action="append", default=[], metavar="VKEY", help="the log's verifier key; again for older ones"
    )
    parser.add_argument("--origin", help="the log's origin line, where it is not the name of the key")
    parser.add_argument(
        "--since", type=Path, metavar="FILE", help="a checkpoint of this log that you hold from earlier"
    )
    parser.add_argument(
        "--witness", action="append", default=[], metavar="VKEY", help="a witness that must have cosigned"
    )
    parser.add_argument(
        "--quorum", type=int, metavar="N", help="how many of the witnesses must have (all of them, if not given)"
    )
    parser.add_argument(
        "--entries", action="store_true", help="with --live: also read every entry since, and compute the root"
    )
    parser.add_argument(
        "--token",
        type=Path,
        metavar="FILE",
        help="with --live: a file with the bearer token that the log's address wants",
    )
    parser.add_argument("--entry", type=Path, metavar="FILE", help="BUNDLE is a .tlog-proof: check it for this entry")
    parser.add_argument("--open-with", type=Path, metavar="FILE", help="the secret key that the bundle is sealed to")
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="keep the checkpoint verified here, for --since next time"
    )
    parser.add_argument("--json", action="store_true", help="report as JSON")
    return parser


def _run(given: argparse.Namespace) -> Report:
    _require_sense(given)
    if not given.key:
        raise CheckImpossible("--key is needed: the log's verifier key, from somewhere else than the bundle")
    trust = Trust.parse(
        given.key,
        origin=given.origin,
        witnesses=given.witness,
        quorum=given.quorum,
        since=_read(given.since) if given.since else None,
    )
    if given.live:
        get = http_get(given.live, read_secret(given.token) if given.token else "")
        report = verify_live(get, trust, url=given.live, entries=given.entries)
    elif given.entry:
        report = verify_receipt(_read(given.bundle), _read(given.entry), trust)
    else:
        with tempfile.TemporaryFile() as opened, closing(_open(given.bundle, given.open_with, opened)) as files:
            report = verify_bundle(files, trust)
    if given.save and report.result is Result.VERIFIED:
        _write(given.save, report.checkpoint)
    return report


def _require_sense(given: argparse.Namespace) -> None:
    """An option that would change nothing is refused: whoever gave it believes that it was checked."""
    without: dict[str, Sequence[str]] = {"--live": ("entry", "open_with"), "--entry": ("since", "open_with")}
    kind = "--live" if given.live else "--entry" if given.entry else "a bundle"
    for name in without.get(kind, ()):
        if getattr(given, name):
            raise CheckImpossible(f"--{name.replace('_', '-')} has no meaning with {kind}")
    if given.entries and not given.live:
        raise CheckImpossible("--entries has no meaning without --live")


def _open(bundle: Path, secret_key: Path | None, opened: IO[bytes]) -> container.Container:
    """The bundle's files; those of a sealed one are put into `opened`."""
    if bundle.is_dir():
        return container.open_container(bundle)
    try:
        with bundle.open("rb") as file:
            if not sealed.is_sealed(file.read(len(sealed.MAGIC))):
                return container.open_container(bundle)
            if secret_key is None:
                raise CheckImpossible("the bundle is sealed: give the secret key with --open-with")
            file.seek(0)
            sealed.unseal(file, opened, read_secret(secret_key))
    except KeyInvalid as error:
        raise CheckImpossible(str(error)) from error
    except OSError as error:
        raise CheckImpossible(f"{bundle}: {error.strerror}") from error
    opened.seek(0)
    return container.ZipContainer(opened)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_ARGUMENT_BYTES)
    except OSError as error:
        raise CheckImpossible(f"{path}: {error.strerror}") from error


def _write(path: Path, content: bytes) -> None:
    """Beside first, so that a failure leaves the earlier file as it was."""
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        raise CheckImpossible(f"{path}: {error.strerror}") from error


def _make_key(path: Path) -> int:
    secret, public = sealed.new_key()
    write_secret(path, secret)
    _print(public + "\n")
    return 0


def _print(text: str) -> None:
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


if __name__ == "__main__":
    sys.exit(main())
