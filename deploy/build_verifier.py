"""`python deploy/build_verifier.py TARGET`: packs the offline verifier into one file, `voxgov-verify.pyz`, and prints its SHA-256.

Built twice from the same sources it is the same file, byte for byte, so that an auditor who builds it too can compare. It needs
Python 3.11 and the package `cryptography`, and nothing of voxgov's. Standard library only.
"""

import argparse
import hashlib
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SHEBANG: Final = b"#!/usr/bin/env python3\n"
MAIN: Final = b"import sys\n\nfrom audit.verify.__main__ import main\n\nsys.exit(main())\n"
MODULES: Final = ("__init__.py", "errors.py", "schema.py", "secret_file.py")
PACKAGES: Final = ("tlog", "export", "verify")
# The writer of bundles belongs to the service.
LEFT_OUT: Final = ("export/writing.py",)
_TIME: Final = (1980, 1, 1, 0, 0, 0)


def sources() -> Iterator[tuple[str, bytes]]:
    """Names in the archive and contents, in order."""
    audit = ROOT / "audit"
    files = [audit / name for name in MODULES]
    files += [file for package in PACKAGES for file in (audit / package).glob("*.py")]
    for file in sorted(files):
        if file.relative_to(audit).as_posix() not in LEFT_OUT:
            yield file.relative_to(ROOT).as_posix(), file.read_bytes()
    yield "__main__.py", MAIN


def build() -> bytes:
    """The archive. Stored, not deflated: libraries that deflate differ, and it is small."""
    content = io.BytesIO()
    content.write(SHEBANG)
    with zipfile.ZipFile(content, "a", zipfile.ZIP_STORED) as archive:
        for name, source in sources():
            member = zipfile.ZipInfo(name, _TIME)
            member.create_system = 3
            member.external_attr = 0o644 << 16
            archive.writestr(member, source)
    return content.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(description="Packs the offline verifier into one file and prints its SHA-256.")
    parser.add_argument("target", nargs="?", type=Path, default=ROOT / "build" / "voxgov-verify.pyz")
    target = parser.parse_args().target
    content = build()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    target.chmod(0o755)
    print(f"{hashlib.sha256(content).hexdigest()}  {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
