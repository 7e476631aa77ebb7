"""An upload streams through: however large it is, the web server's memory stays where it was.

`VOXGOV_UPLOAD_MEGABYTES` makes it larger than the default of 200; 2048 is what the figure in docs/performance.md comes from.
"""

import os
import re
from pathlib import Path

import pytest

from accounts.roles import Role
from analysis import submission
from analysis.models import Recording
from analysis.states import RecordingState
from consent.vocabulary import Scope
from tests.factories import ACTOR, make_client, make_world
from tests.processes import SlowUpload, Web

pytestmark = pytest.mark.services
MEGABYTES = int(os.environ.get("VOXGOV_UPLOAD_MEGABYTES", "200"))


def peak(web: Web) -> int:
    """Highest resident memory of any of the server's processes so far, in MB."""
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in web.processes()]
    return max(int(found[1]) for status in statuses if (found := re.search(r"VmHWM:\s+(\d+) kB", status))) // 1024


def test_memory_stays_flat_while_a_large_recording_arrives(var: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = make_world()
    world.consent(Scope.PROSODY)
    _, token = make_client(world.project, Role.OPERATOR)
    with Web(var / "log" / "upload-test.log") as web:
        peaks = []
        for size in (1, MEGABYTES):
            recording = submission.create_recording(world.project, world.submission(Scope.PROSODY), actor=ACTOR)
            piece = os.urandom(1_000_000)
            upload = SlowUpload(web, f"/v1/recordings/{recording.code}/audio", token, size * len(piece))
            for _ in range(size):
                upload.send(piece)
            assert upload.status() == 201
            assert Recording.objects.get(pk=recording.pk).state == RecordingState.COMPLETE
            peaks.append(peak(web))
    with capsys.disabled():
        print(
            f"\n  peak memory of the web server: {peaks[0]} MB after 1 MB, {peaks[1]} MB after {MEGABYTES} MB", end=""
        )
    assert peaks[1] - peaks[0] < 24
