"""`ocsf.jsonl`: the entries of a bundle as events of the Open Cybersecurity Schema Framework 1.6.0, class API Activity (6003).

For log management systems. A pure function of each entry, so the verifier can make it again; each event carries the entry itself
and its leaf hash. Frozen with the bundle format.
"""

import json
from typing import Any, Final

from audit.schema import EntryBody, milliseconds_since_epoch

SCHEMA: Final = "1.6.0"
CLASS_UID: Final = 6003
# Activities of the class; what a name's last part does not say is 99, "Other", with that part as the name.
_ACTIVITIES: Final = {
    1: ("Create", ("created", "added", "registered", "issued", "drafted", "given")),
    2: ("Read", ("read", "revealed")),
    3: ("Update", ("changed", "published", "withdrawn", "completed", "claimed", "requeued", "cancelled", "committed")),
    4: ("Delete", ("deleted", "destroyed", "erased", "removed", "revoked")),
}
_BY_VERB: Final = {verb: (number, caption) for number, (caption, verbs) in _ACTIVITIES.items() for verb in verbs}
_STATUS: Final = {"allow": {"status_id": 1, "status": "Success"}, "deny": {"status_id": 2, "status": "Failure"}}
# An entry names no network address, and the class demands a source.
_SOURCE: Final = {"name": "not recorded"}
_LEAF_ALGORITHM: Final = "SHA-256 over 0x00 and raw_data (RFC 6962 leaf hash)"

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def line(index: int, leaf: bytes, entry: bytes, body: EntryBody, origin: str) -> bytes:
    """The event of one entry of the log `origin`, with its newline. ASCII: other characters are escaped as JSON has them."""
    return (_encode(_event(index, leaf, entry, body, origin)) + "\n").encode()


def _event(index: int, leaf: bytes, entry: bytes, body: EntryBody, origin: str) -> dict[str, Any]:
    verb = body["name"].rpartition(":")[2]
    activity, caption = _BY_VERB.get(verb, (99, verb))
    metadata = {
        "version": SCHEMA,
        "product": {"name": "voxgov", "vendor_name": "voxgov"},
        "uid": body["event"],
        "event_code": body["name"],
        "log_name": origin,
        "log_version": str(body["version"]),
        "original_time": body["at"],
        "sequence": index,
        "tenant_uid": body["log"],
    }
    if body["request"]:
        metadata["correlation_uid"] = body["request"]
    event: dict[str, Any] = {
        "activity_id": activity,
        "activity_name": caption,
        "category_uid": CLASS_UID // 1000,
        "category_name": "Application Activity",
        "class_uid": CLASS_UID,
        "class_name": "API Activity",
        "type_uid": CLASS_UID * 100 + activity,
        "severity_id": 1,
        "time": milliseconds_since_epoch(body["at"]),
        "metadata": metadata,
        "actor": _actor(body["actor"]["kind"], body["actor"]["code"]),
        "api": {"operation": body["name"], "request": {"uid": body["request"] or body["event"]}},
        "src_endpoint": _SOURCE,
        "resources": [_resource(one) for one in body["objects"]],
        "unmapped": {"detail": body["detail"]},
        "raw_data": entry.decode(),
        "raw_data_hash": {"algorithm_id": 99, "algorithm": _LEAF_ALGORITHM, "value": leaf.hex()},
    }
    if body["outcome"]:
        event |= _STATUS.get(body["outcome"], {"status_id": 99, "status": body["outcome"]})
    if body["reason"]:
        event["status_detail"] = body["reason"]
    return event


def _resource(one: dict[str, Any]) -> dict[str, Any]:
    resource: dict[str, Any] = {"type": one["kind"], "uid": one["code"] if "code" in one else one["blind"]}
    if "epoch" in one:
        resource["data"] = {"epoch": one["epoch"]}
    return resource


def _actor(kind: str, code: str) -> dict[str, Any]:
    if kind == "user":
        return {"user": {"type_id": 1, "uid": code}}
    return {"app_uid": code} if kind == "client" else {"app_name": code}
