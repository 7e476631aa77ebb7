"""Checking that one entry is in a log, from a transparency log proof (https://c2sp.org/tlog-proof): no bundle, no server."""

from audit.errors import LogInvalid
from audit.schema import read_entry
from audit.tlog import proof
from audit.tlog.merkle import leaf_hash
from audit.verify.report import Check, Outcome, Report
from audit.verify.trust import Trust


def verify_receipt(data: bytes, entry: bytes, trust: Trust) -> Report:
    """Checks the proof in `data` for the bytes of an entry. Raises `CheckImpossible` only for what the auditor gave."""
    report = Report("Entry", {"log": trust.origin})
    name = "inclusion"
    try:
        read = proof.parse(data)
        signed = read.verify(leaf_hash(entry), trust.keys, trust.origin)
        report.checkpoint = read.checkpoint
        report.facts |= {"index": read.index, "leaf_hash": leaf_hash(entry).hex()}
        report.checks.append(Check(name, Outcome.OK, f"entry {read.index} of the log of {signed.size} entries"))
        name = "witnesses"
        report.checks.append(trust.check_witnesses(signed.note))
        name = "contents"
        report.checks.append(_check_contents(entry))
    except LogInvalid as error:
        report.checks.append(Check(name, Outcome.FAILED, str(error)))
    report.limits = list(trust.limits())
    return report


def _check_contents(entry: bytes) -> Check:
    body = read_entry(entry)
    return Check("contents", Outcome.OK, f"{body['name']} at {body['at']}, well-formed")
