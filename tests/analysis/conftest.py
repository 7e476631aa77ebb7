"""People whose voice is known, for the tests of this room."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.factories import World


@pytest.fixture
def enrolled(data: Path) -> "World":
    """A world whose subject is the reader, enrolled."""
    import numpy as np

    from consent.models import Voiceprint
    from consent.vocabulary import Scope
    from tests.analysis.engines.voices import real_voices
    from tests.analysis.sounds import wav
    from tests.analysis.voiceprinted import WANTED, done, submit
    from tests.factories import make_world

    world = make_world()
    world.consent(*WANTED)
    readings = np.concatenate([clip.samples for clip in real_voices(data)["reader"]])
    view = done(submit(world, wav([readings]), Scope.IDENTIFY, enrol=True))
    (result,) = view.results
    assert result.body["summary"]["enrolment"] == {"enrolled": True, "reason": None}
    assert (result.body["summary"]["matches"], result.body["summary"]["reason"]) == ("unknown", "not_enrolled")
    assert Voiceprint.objects.filter(subject=world.subject).count() == 1
    return world
