"""`python -m audit.witness`: runs a witness, or makes its key. Arguments and start-up only."""

import argparse
import secrets
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from audit.errors import AuditError, CheckImpossible
from audit.secret_file import read_secret, write_secret
from audit.tlog import cosignatures, notes
from audit.tlog.cosignatures import Cosigner
from audit.tlog.notes import Ed25519Verifier
from audit.witness.rules import Witness
from audit.witness.server import WitnessServer
from audit.witness.state import WitnessState

TYPES: Final = {"ed25519": cosignatures.ED25519, "ml-dsa-44": cosignatures.ML_DSA_44}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when stopped by Ctrl-C or SIGTERM, 2 when it cannot start."""
    given = _parser().parse_args(arguments)
    try:
        return _make_key(given) if given.new_key else _serve(given)
    except KeyboardInterrupt:
        return 0
    except (AuditError, OSError) as error:
        sys.stderr.write(f"voxgov-witness: {error}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voxgov-witness",
        description="A transparency log witness (https://c2sp.org/tlog-witness): cosigns what extends what it has seen.",
    )
    parser.add_argument("--listen", default="127.0.0.1:8089", metavar="ADDRESS:PORT", help="default: %(default)s")
    parser.add_argument(
        "--key", action="append", default=[], type=Path, metavar="FILE", help="a signer key; again for a second"
    )
    parser.add_argument(
        "--state", type=Path, metavar="DIRECTORY", help="what it has seen; losing it means starting over"
    )
    parser.add_argument(
        "--log", action="append", default=[], metavar="VKEY", help="the key of a log to watch; again for others"
    )
    parser.add_argument(
        "--new-key", type=Path, metavar="FILE", help="make a signer key, print its verifier key, and stop"
    )
    parser.add_argument("--name", help="with --new-key: the witness's name, an address of yours without https://")
    parser.add_argument("--type", choices=sorted(TYPES), default="ed25519", help="with --new-key; default: %(default)s")
    return parser


def _make_key(given: argparse.Namespace) -> int:
    cosigner = Cosigner(notes.require_name(given.name or ""), TYPES[given.type], secrets.token_bytes(notes.KEY_BYTES))
    vkey = cosigner.witness.vkey
    write_secret(given.new_key, cosigner.skey)
    sys.stdout.write(vkey + "\n")
    return 0


def _serve(given: argparse.Namespace) -> int:
    if not (given.key and given.log and given.state):
        raise CheckImpossible("--key, --state and --log are needed")
    host, colon, port = given.listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise CheckImpossible(f"{given.listen!a} is no address to listen at: 127.0.0.1:8089")
    cosigners = [Cosigner.parse(read_secret(file)) for file in given.key]
    logs = [Ed25519Verifier.parse(vkey) for vkey in given.log]
    with (
        closing(WitnessState(given.state)) as state,
        WitnessServer((host, int(port)), Witness(cosigners, logs, state)) as server,
    ):
        for cosigner in cosigners:
            sys.stderr.write(f"cosigns as {cosigner.witness.vkey}\n")
        sys.stderr.write(f"listens at http://{host}:{server.server_port}/\n")
        for name in (signal.SIGINT, signal.SIGTERM):  # a shell starts what runs in its background deaf to the first
            signal.signal(name, signal.default_int_handler)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
