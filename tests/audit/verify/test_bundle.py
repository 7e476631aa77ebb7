"""Bundles that are whole verify; each known way of falsifying a log is named and refused.

Who falsifies may be somebody on the way, who has no key, or the operator, who can list changed files anew and sign that
(`resign`), and even sign a second history.
"""

import json
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from audit.errors import CheckImpossible
from audit.export import manifest
from audit.export.container import open_container
from audit.export.writing import pack
from audit.schema import canonical_json, read_entry
from audit.tlog import notes
from audit.tlog.checkpoint import Checkpoint, sign_checkpoint
from audit.tlog.cosignatures import ED25519, ML_DSA_44, Cosigner
from audit.tlog.merkle import Frontier, leaf_hash
from audit.tlog.notes import Ed25519Signer, Note, Signature
from audit.tlog.proof import encode_hashes
from audit.tlog.proving import prove_consistency, read_frontier
from audit.verify.bundle import verify_bundle
from audit.verify.report import Outcome, Report, Result
from audit.verify.trust import Trust
from tests.audit.entries import entry
from tests.audit.export.bundles import ORIGIN, SIGNER, Log, copied, edit_lines, leaf_line, log_of, resign

SIZE, START, END = 70, 20, 60
HONEST = log_of(SIZE)
FORK = Log([*HONEST.entries[:40], entry(1000), *HONEST.entries[41:]])
W1 = Cosigner("witness.example/w1", ED25519, bytes(range(32)))
W2 = Cosigner("witness.example/w2", ML_DSA_44, bytes(range(32)))
TIME = 1_772_366_400


def verified(directory: Path, trust: Trust | None = None) -> Report:
    with closing(open_container(directory)) as files:
        return verify_bundle(files, trust or HONEST.trust())


def failure(report: Report) -> str:
    """Name and sentence of the check that failed, which is the last one."""
    assert report.result is Result.NOT_VERIFIED
    assert [check.outcome for check in report.checks].count(Outcome.FAILED) == 1
    last = report.checks[-1]
    assert last.outcome is Outcome.FAILED
    return f"{last.name}: {last.says}"


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Entries 20 to 59."""
    directory = tmp_path_factory.mktemp("part") / "b"
    HONEST.bundle(directory, START, END)
    return directory


@pytest.fixture(scope="module")
def filtered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole log, a third of it shown."""
    directory = tmp_path_factory.mktemp("filtered") / "b"
    HONEST.bundle(directory, keep=lambda index: index % 3 == 0)
    return directory


@pytest.fixture
def copy(part: Path, tmp_path: Path) -> Path:
    return copied(part, tmp_path / "copy")


@pytest.mark.parametrize(
    ("start", "end"), [(0, 0), (0, 1), (0, 70), (1, 2), (20, 60), (31, 32), (32, 64), (63, 70), (70, 70)]
)
def test_a_whole_bundle_verifies(tmp_path: Path, start: int, end: int) -> None:
    HONEST.bundle(tmp_path / "b", start, end)
    report = verified(tmp_path / "b")
    assert report.result is Result.VERIFIED
    assert report.checkpoint == (tmp_path / "b" / manifest.CHECKPOINT_TO).read_bytes()
    assert {check.name for check in report.checks if check.outcome is Outcome.NOT_CHECKED} == {"since", "witnesses"}
    pack(tmp_path / "b", tmp_path / "b.zip")
    assert verified(tmp_path / "b.zip").result is Result.VERIFIED


@pytest.mark.parametrize("size", sorted({0, 1} | {2**k + d for k in range(1, 10) for d in (-1, 0, 1)}))
def test_logs_of_sizes_around_powers_of_two(tmp_path: Path, size: int) -> None:
    log = log_of(size)
    for start in {0, size // 2, size - 1} - {-1}:
        log.bundle(tmp_path / str(start), start)
        assert verified(tmp_path / str(start)).result is Result.VERIFIED


def test_a_filtered_bundle_verifies_and_says_what_is_left_out(filtered: Path) -> None:
    report = verified(filtered)
    assert report.result is Result.VERIFIED
    assert report.left_out.count == 46
    assert report.left_out.ranges[:3] == [(1, 2), (4, 5), (7, 8)]
    assert any("left out" in limit and "operator's word" in limit for limit in report.limits)


def test_times_out_of_order_are_no_error(tmp_path: Path) -> None:
    """Events of different machines arrive in the log's order, not in that of their clocks."""
    Log([entry(number) for number in (9, 3, 7, 3, 1)]).bundle(tmp_path / "b")
    assert verified(tmp_path / "b").result is Result.VERIFIED


@pytest.mark.parametrize("character", ["x", '"', "\\", "\x00", "\n", "\u202e", "\u00e4", "\u00ad", "\U0001f600", "="])
def test_the_longest_entries_of_the_worst_characters_verify(tmp_path: Path, character: str) -> None:
    body = dict(read_entry(entry(5)))
    written = len(canonical_json(character)) - 2
    room = 65_535 - len(canonical_json({**body, "detail": {"x": ""}, "reason": ""}))
    longest = [
        canonical_json({**body, "detail": {"x": character * (room // written)}, "reason": ""}),
        canonical_json({**body, "detail": {"x": ""}, "reason": character * (room // written)}),
    ]
    assert all(65_535 - written < len(one) <= 65_535 for one in longest)
    Log(longest).bundle(tmp_path / "b")
    assert verified(tmp_path / "b").result is Result.VERIFIED


# Somebody on the way, without a key.


@pytest.mark.parametrize("name", sorted(manifest.names(1) | {manifest.MANIFEST, manifest.NOTE}))
def test_any_changed_file_is_refused(copy: Path, name: str) -> None:
    content = (copy / name).read_bytes()
    for altered in (
        content[:-1],
        content + b"\n",
        b"",
        content[: len(content) // 2] + b"x" + content[len(content) // 2 + 1 :],
    ):
        (copy / name).write_bytes(altered)
        failure(verified(copy))
    (copy / name).unlink()
    assert "missing" in failure(verified(copy))


def test_a_file_that_nobody_signed_is_refused(copy: Path) -> None:
    (copy / "README.txt").write_text("All is well, no need to verify.\n")
    assert failure(verified(copy)) == "manifest: 'README.txt' does not belong into the bundle"


def test_another_key_or_another_log_is_refused(part: Path) -> None:
    stranger = Ed25519Signer.generate(ORIGIN)
    assert "not signed by a known key" in failure(verified(part, Trust.parse([stranger.verifier.vkey])))
    renamed = Ed25519Signer("log.example/other", SIGNER.private)
    assert "not signed by a known key" in failure(verified(part, Trust.parse([renamed.verifier.vkey])))
    other_origin = Trust.parse([SIGNER.verifier.vkey], origin="log.example/other")
    assert "another log" in failure(verified(part, other_origin))
    both = Trust.parse([stranger.verifier.vkey, SIGNER.verifier.vkey])
    assert verified(part, both).result is Result.VERIFIED


def test_a_checkpoint_of_the_same_log_in_another_place_is_refused(copy: Path) -> None:
    for name, size in ((manifest.CHECKPOINT_TO, START), (manifest.CHECKPOINT_FROM, END)):
        original = (copy / name).read_bytes()
        (copy / name).write_bytes(HONEST.checkpoint(size))
        failure(verified(copy))
        resign(copy)
        assert "the manifest says" in failure(verified(copy))
        (copy / name).write_bytes(original)
        resign(copy)
    assert verified(copy).result is Result.VERIFIED


# The operator, who signs whatever is changed.

Edit = Callable[[list[bytes]], list[bytes]]


def swapped(lines: list[bytes]) -> list[bytes]:
    """Two entries change places, with the right numbers on them."""
    first, second = (line.split(b",", 1)[1] for line in lines[5:7])
    return [*lines[:5], b'{"index":25,' + second, b'{"index":26,' + first, *lines[7:]]


EDITS: dict[str, Edit] = {
    "deleted": lambda lines: [*lines[:5], *lines[6:]],
    "deleted and renumbered": lambda lines: [
        *lines[:5],
        *(b'{"index":%d,' % (START + at) + line.split(b",", 1)[1] for at, line in enumerate(lines[6:], 5)),
    ],
    "the first deleted": lambda lines: lines[1:],
    "the last deleted": lambda lines: lines[:-1],
    "all deleted": lambda lines: [],
    "inserted": lambda lines: [*lines[:5], lines[5], *lines[5:]],
    "one more at the end": lambda lines: [*lines, b'{"index":60,"entry":' + entry(60) + b"}\n"],
    "reordered": lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]],
    "reordered and renumbered": swapped,
    "edited": lambda lines: [*lines[:5], lines[5].replace(b'"outcome":"deny"', b'"outcome":"allow"'), *lines[6:]],
    "replaced by another's hash": lambda lines: [*lines[:5], leaf_line(25, entry(1)), *lines[6:]],
    "a line twice": lambda lines: [*lines[:5], lines[5] + lines[5], *lines[6:]],
    "no newline": lambda lines: [*lines[:-1], lines[-1][:-1]],
    "blank line": lambda lines: [*lines[:5], b"\n", *lines[5:]],
    "carriage returns": lambda lines: [line.replace(b"\n", b"\r\n") for line in lines],
    "duplicate member": lambda lines: [
        *lines[:5],
        lines[5].replace(b'{"index":25,', b'{"index":25,"index":25,'),
        *lines[6:],
    ],
    "trailing member": lambda lines: [*lines[:5], lines[5][:-2] + b',"note":"x"}\n', *lines[6:]],
    "not canonical": lambda lines: [*lines[:5], lines[5].replace(b'"outcome":', b'"outcome": '), *lines[6:]],
    "enormous line": lambda lines: [*lines[:5], b'{"index":25,"entry":{' + b"x" * 200_000 + b"}}\n", *lines[6:]],
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_falsified_log_is_refused_even_when_the_operator_signs_it(copy: Path, edit: str) -> None:
    edit_lines(copy / manifest.ENTRIES, EDITS[edit])
    resign(copy)
    assert failure(verified(copy)).startswith("log: ")


def test_an_entry_hidden_behind_its_own_hash_is_counted(copy: Path) -> None:
    """It can be hidden so, but not unseen: without a filter it is refused, with one the report lists it."""
    edit_lines(copy / manifest.ENTRIES, lambda lines: [*lines[:5], leaf_line(25, entry(25)), *lines[6:]])
    resign(copy)
    assert "another number of entries left out" in failure(verified(copy))
    resign(copy, entries=39, left_out=1)
    assert "without a filter" in failure(verified(copy))
    resign(copy, entries=39, left_out=1, filter={"name": ["x"]})
    assert "does not say what entry 26 says" in failure(verified(copy))


@pytest.mark.parametrize(
    "members",
    [
        {"from": 19},
        {"from": 0},
        {"to": 61},
        {"to": 59},
        {"from": 21, "entries": 39},
        {"entries": 39, "left_out": 1},
        {"origin": "log.example/other"},
        {"log": "another organization"},
        {"format": "voxgov.export/v2"},
        {"made_by": ""},
    ],
)
def test_a_manifest_that_says_something_else_is_refused(copy: Path, members: dict[str, Any]) -> None:
    resign(copy, **members)
    failure(verified(copy))


def test_forged_proofs_are_refused(copy: Path) -> None:
    good = json.loads((copy / manifest.PROOFS).read_bytes())
    consistency, frontier = good["consistency"], good["frontier"]
    other = encode_hashes([leaf_hash(b"other")])[0]
    forged: list[dict[str, Any]] = [
        {"consistency": [], "frontier": frontier},
        {"consistency": consistency[1:], "frontier": frontier},
        {"consistency": [*consistency, other], "frontier": frontier},
        {"consistency": [other, *consistency[1:]], "frontier": frontier},
        {"consistency": consistency[::-1], "frontier": frontier},
        {"consistency": consistency, "frontier": []},
        {"consistency": consistency, "frontier": frontier[::-1]},
        {"consistency": consistency, "frontier": [other, *frontier[1:]]},
        {"consistency": consistency, "frontier": [*frontier, other]},
        {"consistency": consistency, "frontier": [frontier[0][:-4], *frontier[1:]]},
        {"consistency": [other] * 64, "frontier": frontier},
        {"consistency": consistency},
        {"consistency": consistency, "frontier": frontier, "more": []},
    ]
    for body in forged:
        (copy / manifest.PROOFS).write_text(json.dumps(body))
        resign(copy)
        assert failure(verified(copy)).startswith("proofs: ")
    (copy / manifest.PROOFS).write_text(json.dumps(good) + " " * 70_000)
    resign(copy)
    assert "more than" in failure(verified(copy))


@pytest.mark.parametrize("name", [manifest.TABLE, manifest.OCSF])
def test_tables_that_do_not_say_what_the_entries_say_are_refused(copy: Path, name: str) -> None:
    original = (copy / name).read_bytes()
    edits: list[Edit] = [
        lambda lines: [
            lines[0].replace(b"deny", b"allow") if b"deny" in lines[0] else lines[0][:1] + lines[0][2:],
            *lines[1:],
        ],
        lambda lines: lines[:-1],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [*lines[:3], *lines[4:]],
        lambda lines: [line.replace(b"01980000", b"01980001") for line in lines],
        lambda lines: [],
        lambda lines: [*lines[:-1], lines[-1].rstrip(b"\r\n")],
    ]
    for edit in edits:
        (copy / name).write_bytes(original)
        edit_lines(copy / name, edit)
        resign(copy)
        assert failure(verified(copy)).startswith("contents: ")


BODY = dict(read_entry(entry(5)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff\n",
        b"{}",
        entry(5)[:-1],
        entry(5).replace(b":", b": ", 1),
        entry(5).replace(b'"log"', b'"log":"x","log"'),
        canonical_json({**BODY, "version": 2}),
        canonical_json({**BODY, "objects": [{"kind": "subject", "code": "somebody@example.org"}]}),
        canonical_json({**BODY, "log": "another organization"}),
    ],
)
def test_an_entry_that_breaks_the_schema_is_exported_and_named(tmp_path: Path, content: bytes) -> None:
    """It is in the log and cannot be taken out of it: the auditor sees that it is there and that it should not be."""
    log = Log([entry(0), entry(1), content, entry(3)])
    log.bundle(tmp_path / "b")
    report = verified(tmp_path / "b")
    assert failure(report).startswith(("contents: entry 2 ", "contents: entry 2: "))
    assert report.checks[3].outcome is Outcome.OK


# Two histories under one key.


def test_two_views_of_a_log_are_told_apart_by_an_earlier_checkpoint(tmp_path: Path) -> None:
    for number, (start, seen) in enumerate(((0, 41), (0, 60), (50, 60), (60, 60))):
        directory = tmp_path / str(number)
        FORK.bundle(directory, start, 60)
        assert verified(directory, FORK.trust()).result is Result.VERIFIED, "by itself a fork looks like a log"
        report = verified(directory, HONEST.trust(since=HONEST.checkpoint(seen)))
        assert failure(report).startswith("since: ")
        assert "two views" in failure(report)


def test_the_part_that_two_views_share_says_nothing(tmp_path: Path) -> None:
    FORK.bundle(tmp_path / "b")
    for size in (0, 1, 39, 40):
        assert verified(tmp_path / "b", HONEST.trust(since=HONEST.checkpoint(size))).result is Result.VERIFIED


def test_a_range_grafted_onto_the_checkpoint_of_another_history_is_refused(tmp_path: Path) -> None:
    """The start of one history, the end of the other, and every proof that either has to offer."""
    FORK.bundle(tmp_path / "b", 50, 60)
    (tmp_path / "b" / manifest.CHECKPOINT_FROM).write_bytes(HONEST.checkpoint(50))
    for tree in (HONEST.tree, FORK.tree):
        for other in (HONEST.tree, FORK.tree):
            frontier = encode_hashes(read_frontier(50, tree.reader(50)).hashes)
            consistency = encode_hashes(prove_consistency(50, 60, other.reader(60)))
            body = {"consistency": consistency, "frontier": frontier}
            (tmp_path / "b" / manifest.PROOFS).write_text(json.dumps(body))
            resign(tmp_path / "b")
            assert failure(verified(tmp_path / "b")).startswith("proofs: ")


def test_an_old_checkpoint_shown_again_is_refused(part: Path) -> None:
    report = verified(part, HONEST.trust(since=HONEST.checkpoint(61)))
    assert failure(report) == (
        "since: the bundle ends at size 60, before the checkpoint of size 61 that you hold: it shows an older state of the log"
    )


def test_a_gap_between_what_one_holds_and_what_is_shown_is_refused(part: Path) -> None:
    report = verified(part, HONEST.trust(since=HONEST.checkpoint(19)))
    assert "what lies between is not shown" in failure(report)


@pytest.mark.parametrize("seen", [20, 21, 31, 32, 59, 60])
def test_a_bundle_that_carries_on_from_what_one_holds_verifies(part: Path, seen: int) -> None:
    report = verified(part, HONEST.trust(since=HONEST.checkpoint(seen)))
    assert report.result is Result.VERIFIED
    assert {check.name: check.outcome for check in report.checks}["since"] is Outcome.OK


def test_an_earlier_checkpoint_that_is_none_of_this_log_cannot_be_used(part: Path) -> None:
    other = Ed25519Signer.generate(ORIGIN)
    foreign = Log(HONEST.entries, other).checkpoint(30)
    for since in (b"", b"junk", foreign, sign_checkpoint(Checkpoint("log.example/x", 0, Frontier().root()), SIGNER)):
        with pytest.raises(CheckImpossible):
            verified(part, HONEST.trust(since=since))


# Witnesses.


def cosigned(checkpoint: bytes, *lines: Signature) -> bytes:
    note = notes.parse(checkpoint)
    return Note(note.text, (*note.signatures, *lines)).encode()


@pytest.fixture
def witnessed(copy: Path) -> Path:
    path = copy / manifest.CHECKPOINT_TO
    text = notes.parse(path.read_bytes()).text
    path.write_bytes(cosigned(path.read_bytes(), W1.cosign(text, TIME), W2.cosign(text, TIME + 60)))
    resign(copy)
    return copy


def test_cosignatures_count(witnessed: Path) -> None:
    vkeys = [W1.witness.vkey, W2.witness.vkey]
    report = verified(witnessed, HONEST.trust(witnesses=vkeys))
    assert report.result is Result.VERIFIED
    says = {check.name: check.says for check in report.checks}["witnesses"]
    assert says == "cosigned by witness.example/w1 at 2026-03-01T12:00:00Z, witness.example/w2 at 2026-03-01T12:01:00Z"
    assert not any("two histories" in limit for limit in report.limits)
    stranger = Cosigner("witness.example/w3", ED25519, bytes(32)).witness.vkey
    assert "3 of 3 witnesses" in failure(verified(witnessed, HONEST.trust(witnesses=[*vkeys, stranger])))
    assert verified(witnessed, HONEST.trust(witnesses=[*vkeys, stranger], quorum=2)).result is Result.VERIFIED


def test_a_history_that_the_witness_did_not_see_is_refused(witnessed: Path, tmp_path: Path) -> None:
    """The fork has the log's own signature, and the witness's only from the other history."""
    FORK.bundle(tmp_path / "fork", START, END)
    path = tmp_path / "fork" / manifest.CHECKPOINT_TO
    trust = HONEST.trust(witnesses=[W1.witness.vkey])
    assert "1 of 1 witnesses" in failure(verified(tmp_path / "fork", trust))
    theirs = notes.parse((witnessed / manifest.CHECKPOINT_TO).read_bytes()).signatures[1]
    path.write_bytes(cosigned(path.read_bytes(), theirs))
    resign(tmp_path / "fork")
    assert "does not verify" in failure(verified(tmp_path / "fork", trust))
    moved = Signature(theirs.name, theirs.key_id, struct.pack(">Q", TIME + 1) + theirs.signature[8:])
    path.write_bytes(cosigned(FORK.checkpoint(END), moved))
    resign(tmp_path / "fork")
    assert "does not verify" in failure(verified(tmp_path / "fork", trust))


def test_what_the_auditor_gives_must_make_sense() -> None:
    vkey, other = SIGNER.verifier.vkey, Ed25519Signer.generate("other.example").verifier.vkey
    attempts: list[tuple[list[str], dict[str, Any]]] = [
        (["junk"], {}),
        ([vkey[:-1]], {}),
        ([W1.witness.vkey], {}),
        ([vkey, other], {}),
        ([vkey], {"witnesses": [vkey]}),
        ([vkey], {"witnesses": [W1.witness.vkey], "quorum": 2}),
        ([vkey], {"witnesses": [W1.witness.vkey], "quorum": -1}),
    ]
    for keys, more in attempts:
        with pytest.raises(CheckImpossible):
            Trust.parse(keys, **more)
    assert Trust.parse([vkey, other], origin=ORIGIN).origin == ORIGIN


def test_a_key_that_was_replaced_stays_good_for_what_it_signed(tmp_path: Path) -> None:
    """The start is signed by the log's old key, the rest by its new one."""
    successor = Ed25519Signer.generate(ORIGIN)
    HONEST.bundle(tmp_path / "b", START, END)
    (tmp_path / "b" / manifest.CHECKPOINT_TO).write_bytes(Log(HONEST.entries, successor).checkpoint(END))
    resign(tmp_path / "b", successor)
    both = Trust.parse([SIGNER.verifier.vkey, successor.verifier.vkey])
    assert verified(tmp_path / "b", both).result is Result.VERIFIED
    assert "not signed by a known key" in failure(verified(tmp_path / "b", Trust.parse([successor.verifier.vkey])))
