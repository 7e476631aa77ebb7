"""The checks that make a bundle believable, in the order in which each rests on the ones before. Files come from a `Container`.

The first check that fails ends the verification: what would follow rests on sand.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

from audit.errors import BundleInvalid, LogInvalid
from audit.export import container as containers
from audit.export import lines, manifest, ocsf, proofs, spreadsheet
from audit.export.container import Container
from audit.export.manifest import Manifest
from audit.export.proofs import Proofs
from audit.tlog import notes
from audit.tlog.checkpoint import SignedCheckpoint, open_checkpoint
from audit.tlog.merkle import Frontier, leaf_hash, verify_consistency
from audit.verify.report import Check, Outcome, Report
from audit.verify.trust import Trust

# A row of the table: every field of an entry, each character at most six times as long when it is escaped.
_MAX_ROW: Final = 8 * lines.MAX_LINE_BYTES


def verify_bundle(container: Container, trust: Trust) -> Report:
    """Checks everything there is to check. Raises `CheckImpossible` only for what the auditor gave."""
    return _Verification(container, trust).run()


@dataclass(slots=True)
class _Verification:
    container: Container
    trust: Trust
    report: Report = field(default_factory=lambda: Report("Bundle"))
    manifest: Manifest = field(init=False)
    start: SignedCheckpoint | None = None
    end: SignedCheckpoint = field(init=False)
    proofs: Proofs = field(init=False)
    old: SignedCheckpoint | None = None
    old_root: bytes | None = None

    def run(self) -> Report:
        self.old = self.trust.open_since()
        steps: Mapping[str, Callable[[], Check]] = {
            "manifest": self._check_manifest,
            "checkpoints": self._check_checkpoints,
            "proofs": self._check_proofs,
            "log": self._check_log,
            "since": self._check_since,
            "witnesses": self._check_witnesses,
            "contents": self._check_contents,
        }
        for name, step in steps.items():
            try:
                self.report.checks.append(step())
            except LogInvalid as error:
                self.report.checks.append(Check(name, Outcome.FAILED, str(error)))
                break
        self.report.limits = self._limits()
        return self.report

    def _check_manifest(self) -> Check:
        encoded = containers.read_small(self.container, manifest.MANIFEST, manifest.MAX_MANIFEST_BYTES)
        note = containers.read_small(self.container, manifest.NOTE, notes.MAX_NOTE_BYTES)
        signed_by = manifest.verify(note, encoded, self.trust.keys, self.trust.origin)
        self.manifest = whole = manifest.parse(encoded)
        if whole.origin != self.trust.origin or whole.origin.rpartition("/")[2] != whole.log:
            raise BundleInvalid(
                f"the manifest names the log {whole.origin!a} of {whole.log!a}, not {self.trust.origin!a}"
            )
        belong = {manifest.MANIFEST, manifest.NOTE, *whole.files}
        for name in sorted(belong ^ self.container.sizes.keys()):
            raise BundleInvalid(f"{name} is missing" if name in belong else f"{name!a} does not belong into the bundle")
        self.report.facts |= {
            "log": whole.origin,
            "range": f"entries {whole.start} up to {whole.end}, not including {whole.end}",
            "shown": whole.entries,
            "filter": {name: list(values) for name, values in whole.filter.items()},
            "made": f"{whole.made_at} by {whole.made_by}",
        }
        return _ok("manifest", f"signed by {_names(signed_by)}")

    def _check_checkpoints(self) -> Check:
        whole = self.manifest
        self.end = self._open_checkpoint(manifest.CHECKPOINT_TO, whole.end)
        self.report.checkpoint = self.end.note.encode()
        if whole.start:
            self.start = self._open_checkpoint(manifest.CHECKPOINT_FROM, whole.start)
        between = "the log's beginning" if self.start is None else f"size {self.start.size}"
        says = f"{between} and size {self.end.size} are signed by {_names(self.end.signed_by)}"
        return _ok("checkpoints", says)

    def _open_checkpoint(self, name: str, size: int) -> SignedCheckpoint:
        data = b"".join(containers.checked_chunks(self.container, name, self.manifest.files[name]))
        signed = open_checkpoint(data, self.trust.keys, self.trust.origin)
        if signed.size != size:
            raise BundleInvalid(f"{name} is of size {signed.size}, the manifest says {size}")
        return signed

    def _check_proofs(self) -> Check:
        digest = self.manifest.files[manifest.PROOFS]
        if digest.bytes > proofs.MAX_PROOFS_BYTES:
            raise BundleInvalid(f"{manifest.PROOFS} has more than {proofs.MAX_PROOFS_BYTES} bytes")
        self.proofs = proofs.parse(b"".join(containers.checked_chunks(self.container, manifest.PROOFS, digest)))
        before = Frontier(self.manifest.start, self.proofs.frontier)
        if self.start is None:
            if self.proofs.consistency:
                raise BundleInvalid("a range from the log's beginning needs no proof")
            return _ok("proofs", "the range begins with the log, so nothing comes before it")
        if before.root() != self.start.root:
            raise BundleInvalid(f"the frontier does not lead to the root of {manifest.CHECKPOINT_FROM}")
        verify_consistency(self.start.size, self.end.size, self.proofs.consistency, self.start.root, self.end.root)
        return _ok("proofs", f"the log of {self.end.size} entries extends that of {self.start.size}")

    def _check_log(self) -> Check:
        began = time.perf_counter()
        name = manifest.ENTRIES
        tree = Frontier(self.manifest.start, self.proofs.frontier)
        self._remember_old_root(tree)
        for batch in containers.checked_lines(self.container, name, self.manifest.files[name], lines.MAX_LINE_BYTES):
            leaves, left_out = lines.leaf_hashes(batch, tree.size)
            for index in left_out:
                self.report.left_out.add(index)
            if self.old is not None and tree.size < self.old.size <= tree.size + len(leaves):
                until = self.old.size - tree.size
                tree.extend(leaves[:until])
                self._remember_old_root(tree)
                tree.extend(leaves[until:])
            else:
                tree.extend(leaves)
        if tree.size != self.end.size:
            raise BundleInvalid(f"{name} ends with entry {tree.size - 1}, the range with entry {self.end.size - 1}")
        if tree.root() != self.end.root:
            raise BundleInvalid(
                "the entries do not lead to the root that the log signed: at least one was changed, added, removed or moved"
            )
        if self.report.left_out.count != self.manifest.left_out:
            raise BundleInvalid("the manifest says another number of entries left out")
        says = (
            f"every entry from {self.manifest.start} to the end is there, in order and unaltered, under the signed root"
        )
        return Check("log", Outcome.OK, says, time.perf_counter() - began, self.end.size - self.manifest.start)

    def _remember_old_root(self, tree: Frontier) -> None:
        if self.old is not None and tree.size == self.old.size:
            self.old_root = tree.root()

    def _check_since(self) -> Check:
        if self.old is None:
            return _not_checked("since", "no earlier checkpoint was given (--since)")
        if self.old.size > self.end.size:
            raise BundleInvalid(
                f"the bundle ends at size {self.end.size}, before the checkpoint of size {self.old.size} that you hold: "
                "it shows an older state of the log"
            )
        if self.old.size < self.manifest.start:
            raise BundleInvalid(
                f"the bundle begins with entry {self.manifest.start}, and the checkpoint that you hold ends before entry "
                f"{self.old.size}: what lies between is not shown"
            )
        if self.old_root != self.old.root:
            raise BundleInvalid(
                f"the log that you hold a checkpoint of had other entries up to {self.old.size}: history was rewritten, or two "
                "views of the log are shown"
            )
        return _ok("since", f"the log still begins with the {self.old.size} entries of the checkpoint that you hold")

    def _check_witnesses(self) -> Check:
        return self.trust.check_witnesses(self.end.note)

    def _check_contents(self) -> Check:
        began = time.perf_counter()
        whole = self.manifest
        batches = containers.checked_lines(
            self.container, manifest.ENTRIES, whole.files[manifest.ENTRIES], lines.MAX_LINE_BYTES
        )
        table = self._lines_of(manifest.TABLE)
        events = self._lines_of(manifest.OCSF)
        table.expect(spreadsheet.HEADER, "the header")
        for index, line in enumerate(chain.from_iterable(batches), whole.start):
            found = lines.read(line, index)
            if found is None:
                continue
            entry, body = found
            if body["log"] != whole.log:
                raise BundleInvalid(f"entry {index} is of another log, {body['log']!a}")
            leaf = leaf_hash(entry)
            table.expect(spreadsheet.row(index, leaf, body), f"entry {index}")
            events.expect(ocsf.line(index, leaf, entry, body, whole.origin), f"entry {index}")
        table.expect_end()
        events.expect_end()
        says = (
            "every entry shown is well-formed, and what belongs to one person is blinded in it; "
            f"{manifest.TABLE} and {manifest.OCSF} say what the entries say"
        )
        return Check("contents", Outcome.OK, says, time.perf_counter() - began, whole.entries)

    def _lines_of(self, name: str) -> "_ExpectedLines":
        batches = containers.checked_lines(self.container, name, self.manifest.files[name], _MAX_ROW)
        return _ExpectedLines(name, chain.from_iterable(batches))

    def _limits(self) -> list[str]:
        limits = list(self.trust.limits())
        if self.report.left_out.count:
            limits.append(
                "That the entries left out do not match the filter is the operator's word. Their hashes are there, so none was "
                "added, removed or changed, and each can be shown later and compared."
            )
        limits.append(
            "That the operator wrote down everything that happened, and that what is written is true. It shows that what was "
            "written once has stayed as it was."
        )
        return limits


class _ExpectedLines:
    """The lines of a file that can be made again from the entries, compared one by one."""

    def __init__(self, name: str, found: Any) -> None:
        self._name = name
        self._found = found

    def expect(self, line: bytes, what: str) -> None:
        if next(self._found, None) != line[:-1]:
            raise BundleInvalid(f"{self._name} does not say what {what} says")

    def expect_end(self) -> None:
        if next(self._found, None) is not None:
            raise BundleInvalid(f"{self._name} says more than the entries do")


def _ok(name: str, says: str) -> Check:
    return Check(name, Outcome.OK, says)


def _not_checked(name: str, says: str) -> Check:
    return Check(name, Outcome.NOT_CHECKED, says)


def _names(keys: Sequence[notes.Verifier]) -> str:
    return ", ".join(f"{key.name} (key {key.key_id.hex()})" for key in keys)
