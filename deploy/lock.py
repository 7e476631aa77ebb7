"""`python deploy/lock.py`: makes `requirements/base.lock`, `kms.lock` and `test.lock` anew from the `.in` files, with pip-tools.

Run it to take in new versions; what is installed nowhere else but here goes into a scratch environment. The locks hold
names, versions and hashes and nothing of the machine or the index that they were made on. `torch.lock` is kept by hand.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
TORCH = (REQUIREMENTS / "torch.lock").read_text().splitlines()[-1]
OPTIONS: tuple[str, ...] = (
    "--quiet",
    "--generate-hashes",
    "--allow-unsafe",
    "--strip-extras",
    "--no-header",
    "--no-annotate",
)
OPTIONS += ("--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host", "--no-emit-options")


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        subprocess.run([sys.executable, "-m", "venv", str(place / "venv")], check=True)
        python = place / "venv" / "bin" / "python"
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "pip-tools"], check=True)
        sources = [REQUIREMENTS / f"{name}.in" for name in ("base", "kms", "test")]
        base = compiled(python, place, sources[:1])
        with_kms = compiled(python, place, sources[:2], pinned=base)
        everything = compiled(python, place, sources, pinned=with_kms)
    write("base", base)
    write("kms", {name: block for name, block in with_kms.items() if name not in base})
    write("test", {name: block for name, block in everything.items() if name not in with_kms})
    return 0


def compiled(python: Path, place: Path, sources: list[Path], pinned: dict[str, str] | None = None) -> dict[str, str]:
    """Name to lock entry, for `sources` and all that they need, at the versions of `pinned` where it has one."""
    wanted, result = place / "wanted.in", place / "result.lock"
    written = [line for source in sources for line in source.read_text().splitlines()] + [TORCH]
    lines = [line for line in written if not line.startswith("#")]
    # A package that only some machines need would be left out on the others: its condition is put back afterwards.
    conditions = {name.strip(): rest.strip() for name, mark, rest in (line.partition(";") for line in lines) if mark}
    wanted.write_text("".join(line.partition(";")[0] + "\n" for line in lines))
    constraints = place / "pinned.txt"
    constraints.write_text("".join(f"{block.split(' ')[0]}\n" for block in (pinned or {}).values()))
    command = [str(python), "-m", "piptools", "compile", *OPTIONS, "--constraint", str(constraints)]
    subprocess.run([*command, "--output-file", str(result), str(wanted)], check=True)
    blocks = re.split(
        r"\n(?=[A-Za-z0-9])", "\n".join(line for line in result.read_text().splitlines() if line[:1] != "#")
    )
    entries = {re.split(r"[=\[ ]", block.strip())[0].lower(): block.strip() for block in blocks if "==" in block}
    for name, condition in conditions.items():
        entries[name] = entries[name].replace(" \\", f" ; {condition} \\", 1)
    return {name: block for name, block in entries.items() if name != "torch"}


def write(name: str, entries: dict[str, str]) -> None:
    head = (
        f"# Every package that requirements/{name}.in brings in, pinned, with the SHA-256 of each of its published files.\n"
        "# Made by deploy/lock.py; do not edit by hand.\n"
    )
    body = "".join(f"{entries[package]}\n" for package in sorted(entries))
    (REQUIREMENTS / f"{name}.lock").write_text(head + body)


if __name__ == "__main__":
    sys.exit(main())
