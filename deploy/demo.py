"""The demo that `deploy/quickstart` runs: real speech refused, then analysed under recorded consent, then gone.

Everything goes through the REST API with a plain HTTP client. Each step says what it expects; the first that does not get it ends
the demo with exit status 1.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
import uuid
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from demo_client import Answer, Client

ROOT = Path(__file__).resolve().parent.parent
SPEECH = ROOT / "tests" / "data" / "reading" / "sense_and_sensibility_0870-0890.wav"
LAUGH = ROOT / "tests" / "data" / "human" / "laugh-male1.wav"
SCOPES = ["speech.transcribe", "speech.language", "speech.prosody", "voice.nonverbal", "voice.emotion"]
PATIENCE = 300.0
"""Seconds to wait for one analysis; the first one of a machine also loads the models."""


class StepFailed(Exception):
    """A step of the demo did not do what it should."""


class Demo:
    def __init__(self, base: str, var: Path) -> None:
        credentials = json.loads((var / "secrets" / "demo.json").read_text())
        self.app = Client(base, credentials["application_token"])
        self.auditor = Client(base, credentials["auditor_token"])
        self.var = var
        self.number = 0

    def run(self) -> None:
        self.began = datetime.now(UTC)
        self.blobs_before = self.blobs()
        self.publish_notice_and_purpose()
        self.register_people()
        self.refused_without_consent()
        self.consent()
        speech = self.analyse(SPEECH, "a LibriVox reading")
        self.show_timeline(speech, {"word", "pause", "prosody", "expression"})
        laugh = self.analyse(LAUGH, "a human laugh")
        self.show_timeline(laugh, {"sound"})
        self.emotion_refused_for_employee()
        self.emotion_refused_without_grant()
        self.ciphertext_on_disk(speech)
        self.withdraw_and_read_again(speech, laugh)
        self.verify_trail()
        self.verify_export()

    # steps

    def publish_notice_and_purpose(self) -> None:
        self.step("A notice is published, and a purpose that rests on it")
        tag = uuid.uuid4().hex[:8]
        notice = self.expect(
            201,
            self.app.post(
                "/v1/notices",
                {
                    "series": f"Voice on support calls ({tag})",
                    "language": "en",
                    "title": "How we use your voice",
                    "text": "With your consent we transcribe your call and note pauses, pitch, sounds such as laughter, and "
                    "how your voice expresses itself. You can withdraw at any time, with one call.",
                    "material": True,
                },
            ),
        )
        self.notice = self.expect(200, self.app.post(f"/v1/notices/{notice['code']}/publish"))
        self.say(f"notice version {self.notice['version']}, SHA-256 {self.notice['sha256'][:16]}…")
        self.purpose = self.expect(
            201,
            self.app.post(
                "/v1/purposes",
                {
                    "name": f"Quality of support ({tag})",
                    "notice_series": self.notice["series"]["code"],
                    "lawful_basis": "consent",
                    "scopes": [*SCOPES, "audio.store"],
                    "contexts": ["support"],
                    "processing": {
                        "parties": [
                            {
                                "name": "Example Ltd",
                                "address": "1 Example Street, Dublin",
                                "contact": "privacy@example.com",
                            }
                        ],
                        "storage_locations": ["DE"],
                        "jurisdictions": ["DE"],
                        "withdrawal_method": "Tell anybody on the line, or write to privacy@example.com.",
                    },
                    "dpia_reference": "DPIA 2026/7",
                },
            ),
        )

    def register_people(self) -> None:
        self.step("Three people are registered, by code; their customer numbers are sealed")
        self.customer = self.register("customer")
        self.employee = self.register("employee")
        self.other_customer = self.register("other customer")

    def refused_without_consent(self) -> None:
        self.step("A recording without consent is refused")
        problem = self.expect(403, self.submit(self.customer, "customer", SCOPES))
        self.require(problem["code"] == "consent_denied", "the refusal should be consent_denied")
        self.require(set(problem["missing_scopes"]) == set(SCOPES), "the refusal should name every missing scope")
        self.say(f"403 {problem['code']}; missing: {', '.join(problem['missing_scopes'])}")

    def consent(self) -> None:
        self.step("The customer consents, explicitly, to each scope by name")
        record = self.grant(self.customer, [*SCOPES, "audio.store"])
        self.consent_code = record["code"]
        self.say(f"consent {record['code']}")

    def analyse(self, file: Path, what: str) -> dict[str, Any]:
        self.step(f"{what[0].upper()}{what[1:]} is uploaded ({file.stat().st_size:,} bytes) and analysed")
        recording = self.expect(201, self.submit(self.customer, "customer", [*SCOPES, "audio.store"]))
        uploaded = self.expect(201, self.app.put_file(recording["upload"]["url"], file, "audio/wav"))
        analysis = self.wait_for(uploaded["analysis"])
        self.require(analysis["state"] == "done", f"the analysis ended {analysis['state']}: {analysis['error']}")
        return self.expect(200, self.app.get(f"/v1/analyses/{analysis['code']}/timeline"))

    def show_timeline(self, timeline: dict[str, Any], needed: set[str]) -> None:
        found = {span["type"] for span in timeline["spans"]}
        self.require(needed <= found, f"the timeline should hold {', '.join(sorted(needed - found))}")
        for language in timeline["languages"]:
            self.say(f"language {language['language']} (probability {language['language_probability']:.2f})")
        for span in timeline["spans"]:
            if span["type"] != "word":
                self.say(f"{span['start']:7.2f}–{span['end']:6.2f}  {span['type']:<10} {describe(span)}")
        words = [span for span in timeline["spans"] if span["type"] == "word"]
        if words:
            listed = "  ".join(f"{word['label'].strip()} {word['start']:.2f}" for word in words[:8])
            self.say(f"{len(words)} words with their times: {listed} …")

    def emotion_refused_for_employee(self) -> None:
        self.step("An employee grants emotion; the law outranks the grant")
        self.grant(self.employee, ["voice.emotion"])
        problem = self.expect(403, self.submit(self.employee, "employee", ["voice.emotion"]))
        rules = {denial["rule"] for denial in problem["denials"]}
        self.require(rules == {"eu-ai-act-5-1-f"}, "the refusal should rest on the rule of law alone")
        denial = problem["denials"][0]
        self.say(f"403: {denial['message']} ({denial['citation']})")

    def emotion_refused_without_grant(self) -> None:
        self.step("Another customer did not grant emotion; it is refused for them")
        self.grant(self.other_customer, ["speech.transcribe"])
        problem = self.expect(403, self.submit(self.other_customer, "customer", ["speech.transcribe", "voice.emotion"]))
        self.require(problem["missing_scopes"] == ["voice.emotion"], "only voice.emotion should be missing")
        self.say(f"403: {problem['denials'][0]['message']}")

    def ciphertext_on_disk(self, timeline: dict[str, Any]) -> None:
        self.step("What lies on disk is ciphertext")
        samples = SPEECH.read_bytes()
        middle = len(samples) // 2
        needles = [samples[middle : middle + 64], samples[-64:]]
        sentence = next(span["label"].strip() for span in timeline["spans"] if span["type"] == "utterance")
        needles.append(sentence.encode()[:40])
        needles += [number.encode() for number in self.references]
        files = [path for path in self.var.rglob("*") if path.is_file() and self.holds_data(path)]
        for path in files:
            content = read_if_there(path)
            for needle in needles:
                self.require(needle not in content, f"plaintext found in {path.relative_to(self.var)}")
        blobs = sorted(self.blobs() - self.blobs_before)
        self.require(bool(blobs), "the kept audio should lie among the blobs")
        self.kept = blobs
        size = sum(len(read_if_there(path)) for path in files)
        self.say(
            f"searched {len(files)} files, {size / 1e6:,.0f} MB, for the audio, the transcript and the customer numbers: none found"
        )
        sealed = next(content for path in blobs if (content := read_if_there(path)))
        self.say(f"first bytes of the upload {samples[:12]!r}; of a blob on disk {sealed[40:52].hex(' ')}")

    def withdraw_and_read_again(self, *timelines: dict[str, Any]) -> None:
        self.step("The customer withdraws, with one call, and the same reads are refused")
        withdrawn = self.expect(200, self.app.post(f"/v1/consents/{self.consent_code}/withdraw"))
        self.say(f"closed: {', '.join(sorted(entry['scope'] for entry in withdrawn['closed']))}")
        for timeline in timelines:
            problem = self.expect(403, self.app.get(f"/v1/analyses/{timeline['analysis']}/timeline"))
            reasons = {denial["reason"] for denial in problem["denials"]}
            self.require(reasons == {"withdrawn"}, "the read should be refused because consent was withdrawn")
        self.say("403 consent_denied: withdrawn")
        self.wait_until(
            lambda: not any(path.exists() for path in self.kept), "the kept audio should be destroyed within a minute"
        )
        self.say("keys shredded, kept audio destroyed")

    def verify_trail(self) -> None:
        self.step("The audit trail of all that, read by the auditor and verified")
        refused = self.expect(403, self.auditor.get(f"/v1/consents/{self.consent_code}"))
        self.require(refused["code"] == "permission_denied", "an auditor sees the trail and nothing else")
        events = self.all_events()
        for event in events:
            canonical = b64decode(event["canonical"])
            self.require(
                hashlib.sha256(b"\x00" + canonical).hexdigest() == event["leaf_hash"],
                f"event {event['code']} does not match its hash",
            )
            self.require(json.loads(canonical) == event["entry"], f"event {event['code']} is not what its bytes say")
            for code in (self.customer, self.employee, self.other_customer, self.consent_code):
                self.require(code.encode() not in canonical, f"event {event['code']} names a person")
        names = [event["entry"]["name"] for event in events]
        story = [
            "consent:notice:published",
            "consent:purpose:created",
            "consent:subject:registered",
            "consent:decision:denied",
            "consent:grant:given",
            "analysis:recording:created",
            "analysis:recording:completed",
            "analysis:job:queued",
            "analysis:results:committed",
            "analysis:results:read",
            "consent:decision:denied",
            "consent:grant:withdrawn",
            "consent:decision:denied",
        ]
        position = 0
        for name in story:
            self.require(name in names[position:], f"the trail should hold {name} at its place")
            position = names.index(name, position) + 1
        denied = sum(event["entry"]["outcome"] == "deny" for event in events)
        allowed = sum(event["entry"]["outcome"] == "allow" for event in events)
        self.say(
            f"{len(events)} events: every entry matches its hash, none names a person; {allowed} decisions allowed, {denied} denied"
        )

    # how the steps speak and ask

    def verify_export(self) -> None:
        self.step("The signed log, exported and checked by the offline verifier")
        last = self.all_events()[-1]["code"]
        self.wait_until(lambda: self.auditor.get(f"/v1/audit/events/{last}/proof").status == 200, "no checkpoint came")
        [*_, log] = self.expect(200, self.auditor.get("/v1/audit/log"))["results"]
        self.say(f"log {log['origin']}: {log['signed']} entries signed")
        export = self.expect(201, self.auditor.post("/v1/audit/exports", {}))
        at = f"/v1/audit/exports/{export['code']}"
        self.wait_until(
            lambda: self.auditor.get(at).body["state"] not in ("queued", "running"), "the export did not end"
        )
        done = self.expect(200, self.auditor.get(at))
        self.require(done["state"] == "done", f"the export is {done['state']}: {done['error']}")
        with TemporaryDirectory() as work:
            bundle = Path(work) / "bundle.zip"
            bundle.write_bytes(self.auditor.download(done["file"]))
            said = subprocess.run(
                [sys.executable, "-m", "audit.verify", str(bundle), "--key", log["vkey"]],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
        for line in said.stdout.splitlines():
            self.say(line)
        self.require(said.returncode == 0, f"the verifier found the bundle wanting: {said.stderr}")

    def register(self, role: str) -> str:
        number = f"CUSTOMER-{uuid.uuid4().hex[:12]}"
        self.references = [*getattr(self, "references", []), number]
        subject = self.expect(201, self.app.post("/v1/subjects", {"external_reference": number}))
        self.say(f"{role}: subject {subject['code']}")
        return str(subject["code"])

    def submit(self, subject: str, role: str, scopes: list[str]) -> Answer:
        now = datetime.now(UTC)
        return self.app.post(
            "/v1/recordings",
            {
                "purpose": self.purpose["code"],
                "context": "support",
                "jurisdiction": "DE",
                "recorded_at": now.isoformat(),
                "exposure_notice_shown_at": (now - timedelta(seconds=30)).isoformat(),
                "participants": [{"subject": subject, "role": role}],
                "scopes": scopes,
            },
        )

    def grant(self, subject: str, scopes: list[str]) -> dict[str, Any]:
        return self.expect(
            201,
            self.app.post(
                "/v1/consents",
                {
                    "subject": subject,
                    "purpose": self.purpose["code"],
                    "notice": self.notice["code"],
                    "scopes": scopes,
                    "given": True,
                    "explicit": True,
                    "given_at": datetime.now(UTC).isoformat(),
                    "jurisdiction": "DE",
                    "evidence": {"method": "web_form", "origin": "quickstart demo", "sha256": self.notice["sha256"]},
                },
            ),
        )

    def wait_for(self, analysis: str) -> dict[str, Any]:
        began, shown = time.monotonic(), ""
        while time.monotonic() - began < PATIENCE:
            state = self.expect(200, self.app.get(f"/v1/analyses/{analysis}"))
            line = f"{state['state']:<8} {state['stage']:<12} {state['progress']:4.0%}"
            if line != shown:
                shown = line
                self.say(line)
            if state["state"] not in ("queued", "running"):
                return dict(state)
            time.sleep(0.2)
        raise StepFailed(f"the analysis did not end within {PATIENCE:.0f} s; see the logs in {self.var / 'log'}")

    def all_events(self) -> list[dict[str, Any]]:
        since = (self.began - timedelta(seconds=1)).isoformat()
        events: list[dict[str, Any]] = []
        page = self.expect(200, self.auditor.get("/v1/audit/events", order="oldest", since=since))
        while True:
            events.extend(page["results"])
            if not page["next"]:
                return events
            path = page["next"].split("/v1/", 1)[1]
            page = self.expect(200, self.auditor.get(f"/v1/{path}"))

    def blobs(self) -> set[Path]:
        return {path for path in (self.var / "blobs").rglob("*") if path.is_file()}

    @staticmethod
    def holds_data(path: Path) -> bool:
        """Everything under var but the models, which are public."""
        return "models" not in path.parts

    def wait_until(self, condition: Callable[[], bool], otherwise: str) -> None:
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > 60:
                raise StepFailed(otherwise)
            time.sleep(0.5)

    def step(self, text: str) -> None:
        self.number += 1
        print(f"\n{self.number:2}. {text}", flush=True)

    def say(self, text: str) -> None:
        print(f"      {text}", flush=True)

    def require(self, condition: bool, otherwise: str) -> None:
        if not condition:
            raise StepFailed(otherwise)

    def expect(self, status: int, answer: Answer) -> dict[str, Any]:
        if answer.status != status:
            raise StepFailed(f"expected HTTP {status}, got {answer.status}: {json.dumps(answer.body)[:600]}")
        return dict(answer.body)


def read_if_there(path: Path) -> bytes:
    """The file's bytes; none when it went meanwhile, as waiting audio does when its last job has ended."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def describe(span: dict[str, Any]) -> str:
    details = span["details"]
    match span["type"]:
        case "expression":
            arousal = "unknown" if details.get("arousal") is None else f"{details['arousal']:.2f}"
            return f"expressed: {span['label']} (arousal {arousal}, not validated)"
        case "prosody":
            moved, median = details["final_semitones"], details["f0_median_hz"]
            ending = span["label"] if moved is None else f"{span['label']} {moved:+.1f} semitones"
            pitch = "pitch unknown" if median is None else f"pitch {median:.0f} Hz"
            return f"{pitch}, level {details['level_dbfs']:.1f} dBFS, {details['syllables']} syllables, ends: {ending}"
        case "sound":
            return f"{span['label']} (score {span['score']:.2f})"
        case "pause":
            return f"{span['end'] - span['start']:.2f} s"
        case _:
            return str(span["label"]).strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True, help="address of the web server, e.g. http://127.0.0.1:8000")
    parser.add_argument("--var", type=Path, required=True)
    options = parser.parse_args()
    try:
        Demo(options.base, options.var).run()
    except StepFailed as failed:
        print(f"\nThe demo stopped: {failed}", file=sys.stderr)
        return 1
    print("\nEvery step did what it should.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
