"""The verifier as an auditor runs it: its exit status, its report, and one file that needs nothing of voxgov's."""

import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from audit.export import manifest, sealed
from audit.export.writing import pack
from audit.tlog.merkle import leaf_hash
from audit.tlog.proof import LogProof
from audit.tlog.proving import prove_inclusion
from audit.verify.__main__ import main
from audit.verify.report import MAX_RANGES, Check, IndexRanges, Outcome, Report, Result
from tests.audit.entries import entry
from tests.audit.export.bundles import LOG_OF_FORTY, ORIGIN, SIGNER, edit_lines, resign

BUILDER = Path(__file__).parents[3] / "deploy" / "build_verifier.py"
KEY = ("--key", SIGNER.verifier.vkey)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    LOG_OF_FORTY.bundle(tmp_path / "b", 10, keep=lambda index: index != 20)
    return tmp_path / "b"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    status = main([str(one) for one in arguments])
    return status, capsys.readouterr().out


def run_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    status, out = run(capsys, *arguments, "--json")
    return status, json.loads(out)


def test_a_good_bundle(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = run(capsys, bundle, *KEY)
    assert status == 0
    assert out.startswith("Bundle: VERIFIED\n")
    assert ORIGIN in out
    assert "1 entries: 20" in out
    assert "What this does not show:" in out
    status, body = run_json(capsys, bundle, *KEY)
    assert (status, body["result"], body["log"]) == (0, "verified", ORIGIN)
    assert body["left_out"] == {"count": 1, "ranges": [[20, 20]], "ranges_complete": True}
    assert [check["name"] for check in body["checks"]] == [
        "manifest",
        "checkpoints",
        "proofs",
        "log",
        "since",
        "witnesses",
        "contents",
    ]


def test_a_falsified_bundle(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_lines(bundle / manifest.ENTRIES, lambda lines: [*lines[1:], lines[0]])
    resign(bundle)
    status, out = run(capsys, bundle, *KEY)
    assert status == 1
    assert out.startswith("Bundle: NOT VERIFIED: do not rely on it\n")
    assert "[FAILED]" in out
    status, body = run_json(capsys, bundle, *KEY)
    assert (status, body["result"]) == (1, "not_verified")


def test_what_cannot_be_checked(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junk = tmp_path / "junk"
    junk.write_bytes(b"junk")
    for arguments in (
        (bundle,),
        (bundle, "--key", "junk"),
        (tmp_path / "nothing", *KEY),
        (bundle, *KEY, "--since", tmp_path / "nothing"),
        (bundle, *KEY, "--since", junk),
        (bundle, *KEY, "--witness", SIGNER.verifier.vkey),
        (bundle, *KEY, "--quorum", 1),
        (bundle, *KEY, "--entries"),
        (bundle, *KEY, "--entry", junk, "--since", junk),
        ("--live", "http://127.0.0.1:9/log", *KEY, "--entry", junk),
        ("--live", "http://127.0.0.1:9/log", *KEY, "--open-with", junk),
        ("--live", "file:///etc/passwd", *KEY),
        ("--live", "ftp://127.0.0.1/log", *KEY),
        ("--live", "http://127.0.0.1:9/log", *KEY),
        (bundle, *KEY, "--save", tmp_path / "no such directory" / "x"),
    ):
        status, out = run(capsys, *arguments)
        assert (status, out.partition("\n")[0]) == (2, "Check: NOT CHECKED"), arguments
    with pytest.raises(SystemExit) as refused:
        main(["--no-such-option"])
    assert refused.value.code == 2
    assert run(capsys, junk, *KEY)[0] == 1


def test_an_error_of_its_own_never_looks_like_success(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Report:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("audit.verify.__main__.verify_bundle", broken)
    status, out = run(capsys, bundle, *KEY)
    assert status == 2
    assert "the verifier itself failed" in out


def test_the_checkpoint_kept_serves_the_next_time(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept"
    assert run(capsys, bundle, *KEY, "--save", kept)[0] == 0
    assert kept.read_bytes() == (bundle / manifest.CHECKPOINT_TO).read_bytes()
    LOG_OF_FORTY.bundle(tmp_path / "next", 40)
    status, out = run(capsys, tmp_path / "next", *KEY, "--since", kept, "--save", kept)
    assert status == 0
    assert "still begins with the 40 entries" in out
    LOG_OF_FORTY.bundle(tmp_path / "older", 0, 30)
    before = kept.read_bytes()
    assert run(capsys, tmp_path / "older", *KEY, "--since", kept, "--save", kept)[0] == 1
    assert kept.read_bytes() == before


def test_a_sealed_bundle_opens_with_the_auditor_s_key(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "auditor.key"
    status, public = run(capsys, "--new-key", secret)
    assert status == 0
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert run(capsys, "--new-key", secret)[0] == 2, "a key is never written over"
    pack(bundle, tmp_path / "b.zip")
    with (tmp_path / "b.zip").open("rb") as source, (tmp_path / "b.sealed").open("wb") as target:
        sealed.seal(source, target, public.strip())
    assert run(capsys, tmp_path / "b.sealed", *KEY, "--open-with", secret)[0] == 0
    assert run(capsys, tmp_path / "b.sealed", *KEY)[0] == 2
    assert run(capsys, tmp_path / "b.sealed", *KEY, "--open-with", bundle / manifest.NOTE)[0] == 2
    other = tmp_path / "other.key"
    run(capsys, "--new-key", other)
    assert run(capsys, tmp_path / "b.sealed", *KEY, "--open-with", other)[0] == 1
    damaged = bytearray((tmp_path / "b.sealed").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "b.sealed").write_bytes(damaged)
    assert run(capsys, tmp_path / "b.sealed", *KEY, "--open-with", secret)[0] == 1


def test_one_entry_with_its_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proof = LogProof(7, tuple(prove_inclusion(7, 40, LOG_OF_FORTY.tree.reader())), LOG_OF_FORTY.checkpoint())
    (tmp_path / "p.tlog-proof").write_bytes(proof.encode())
    (tmp_path / "entry").write_bytes(entry(7))
    status, body = run_json(capsys, tmp_path / "p.tlog-proof", "--entry", tmp_path / "entry", *KEY)
    assert (status, body["index"], body["leaf_hash"]) == (0, 7, leaf_hash(entry(7)).hex())
    (tmp_path / "entry").write_bytes(entry(8))
    assert run(capsys, tmp_path / "p.tlog-proof", "--entry", tmp_path / "entry", *KEY)[0] == 1


def test_nothing_from_a_bundle_moves_the_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    LOG_OF_FORTY.bundle(tmp_path / "b", keep=lambda index: index > 2, filter={"\x1b[2J\u202e": ["\x07"]})
    resign(tmp_path / "b", made_by="\x1b]0;title\x07 \u202egnidnepxe")
    (status, out) = run(capsys, tmp_path / "b", *KEY)
    assert status == 0
    assert "\\u001b]0;title\\u0007 \\u202egnidnepxe" in out
    assert out.replace("\n", "").isprintable()


def test_a_terminal_of_another_encoding(bundle: Path) -> None:
    resign(bundle, made_by="Prüferin 日本")
    done = subprocess.run(
        [sys.executable, "-m", "audit.verify", str(bundle), *KEY],
        env={"PYTHONIOENCODING": "ascii", "PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Pr\\xfcferin \\u65e5\\u672c" in done.stdout


def test_the_packed_verifier_is_reproducible_and_stands_alone(bundle: Path, tmp_path: Path) -> None:
    target, again = tmp_path / "voxgov-verify.pyz", tmp_path / "again.pyz"
    for path in (target, again):
        done = subprocess.run([sys.executable, str(BUILDER), str(path)], capture_output=True, check=True, text=True)
        assert done.stdout.split() == [hashlib.sha256(path.read_bytes()).hexdigest(), str(path)]
    assert target.read_bytes() == again.read_bytes()
    script = (
        "import runpy, sys\n"
        f"sys.argv = [{str(target)!r}, {str(bundle)!r}, '--key', {KEY[1]!r}]\n"
        "try:\n    runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end:\n    status = end.code\n"
        "roots = {name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)\n"
        "print('STATUS', status, 'ROOTS', *sorted(root for root in roots if root[0] != '_'))\n"
        "print('FROM', sys.modules['audit'].__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, check=True, text=True, cwd=tmp_path
    )
    last, origin = done.stdout.splitlines()[-2:]
    assert last == "STATUS 0 ROOTS audit cryptography"
    assert origin.startswith(f"FROM {target}")


def test_the_report_keeps_a_thousand_ranges_and_counts_all() -> None:
    ranges = IndexRanges()
    for index in range(0, 4 * MAX_RANGES, 2):
        ranges.add(index)
    assert (ranges.count, len(ranges.ranges), ranges.complete) == (2 * MAX_RANGES, MAX_RANGES, False)
    assert str(ranges).endswith(" and more")
    whole = IndexRanges()
    for index in (1, 2, 3, 7, 9, 10):
        whole.add(index)
    assert (str(whole), whole.complete) == ("1 to 3, 7, 9 to 10", True)


def test_the_whole_is_as_good_as_its_worst_check() -> None:
    ok, failed, none = (Check("x", outcome, "") for outcome in (Outcome.OK, Outcome.FAILED, Outcome.NOT_CHECKED))
    assert Report("x", checks=[ok, none]).result is Result.VERIFIED
    assert Report("x", checks=[ok, failed]).result is Result.NOT_VERIFIED
    assert Report("x", checks=[none]).result is Result.NOT_CHECKED
    assert Report("x").result is Result.NOT_CHECKED
    assert [result.status for result in Result] == [0, 1, 2]
