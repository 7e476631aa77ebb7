"""E-mail addresses, as they are written and as they are said: "anna dot miller at example dot com", "j underscore park at ...".

To the left of the "at" a name has no certain beginning when it is said: words are taken until one that belongs to a sentence.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from analysis.redaction.heard import Heard
from analysis.redaction.spans import DataType, Found
from analysis.redaction.spelling import TEENS, TENS, UNITS
from analysis.redaction.vocabulary import word_set

_WRITTEN: Final = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[a-z]{2,}", re.IGNORECASE)
_DOMAIN: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.([a-z]{2,})\Z", re.IGNORECASE)
_LOCAL: Final = re.compile(r"[\w.+'-]+\Z")
TOP_LEVEL: Final = word_set(
    """
    com org net edu gov mil info biz io ai app dev me co uk us ca au nz ie de at ch fr es it nl be lu pt se no dk fi
    pl cz sk hu ro bg gr hr si ee lv lt ru ua tr il in cn jp kr sg hk tw br mx ar cl za ng ke eu email online cloud
    tech xyz
    """
)
_AT: Final = frozenset({"at", "@", "arroba", "arobase", "klammeraffe", "ät", "et"})
_DOT: Final = frozenset({"dot", ".", "punkt", "punto", "point"})
_JOINTS: Final = _DOT | frozenset(
    {"underscore", "dash", "hyphen", "minus", "plus", "unterstrich", "bindestrich", "guion", "tiret", "_", "-", "+"}
)
_DOUBLES: Final = frozenset({"double", "triple"})
_NOT_LOCAL: Final = word_set(
    """
    a an and or the is it it's its that that's this these my your his her our their email e-mail mail address to on
    in by for with of from me us you him them we i reach contact write send find visit check look buy shop order get
    see go up out would be will can could should please sure yes yeah so well ok okay um uh lautet ist an die
    adresse mir es est mi correo was were are not just back available via using under meet located arrived live work
    works working stay staying sign signed log logged bought sold ordered shopping
    """
)
_LONGEST_LOCAL: Final = 24


@dataclass(frozen=True, slots=True)
class MailAddresses:
    name: str = "email"

    def find(self, heard: Heard, /) -> Iterator[Found]:
        for index, bare in enumerate(heard.bare):
            if _WRITTEN.search(bare):
                yield Found(DataType.EMAIL, index, index, 0.99)
            elif heard.lower[index] in _AT:
                last = _domain(heard, index + 1)
                first = _local(heard, index - 1)
                if last is not None and first is not None:
                    yield Found(DataType.EMAIL, first, last, 0.9)


def _domain(heard: Heard, index: int) -> int | None:
    """The last word of the domain that begins there: up to three words between two dots, and a known last label."""
    last: int | None = None
    at, since_dot = index, 0
    while at < len(heard) and at - index < 16:
        word = heard.lower[at]
        written = _DOMAIN.fullmatch(heard.bare[at])
        if written and written[1].lower() in TOP_LEVEL and last is None and at - index <= 3:
            last = at
            break
        if word in _DOT:
            since_dot = 0
            following = heard.lower[at + 1] if at + 1 < len(heard) else ""
            if at > index and following in TOP_LEVEL:
                last = at + 1
                at += 1
                if heard.ends_sentence(last):
                    break
        elif last is not None:
            break
        else:
            since_dot += 1
            if since_dot > 3 or not word:
                break
            if heard.breaks_after(at):
                break
        at += 1
    return last


def _local(heard: Heard, index: int) -> int | None:
    """The first word of the part before the "at"; None where no such part stands there."""
    first: int | None = None
    at = index
    words = 0
    while at >= 0 and index - at < _LONGEST_LOCAL:
        word = heard.lower[at]
        if first is not None and heard.breaks_after(at) and word not in _JOINTS:
            break
        if not word or not (_LOCAL.fullmatch(heard.bare[at]) or word in _JOINTS):
            break
        joined = at < index and heard.lower[at + 1] in _JOINTS
        if word in _JOINTS:
            at -= 1
            continue
        spelled = len(word) == 1 or word in UNITS or word in TEENS or word in TENS or word in _DOUBLES or word.isdigit()
        if not joined:
            if word in _NOT_LOCAL and not (len(word) == 1 and _spelled_near(heard, at)):
                break
            words += not spelled
            if words > 3:
                break
        first = at
        at -= 1
    return first


def _spelled_near(heard: Heard, index: int) -> bool:
    """Whether a single letter stands among others: "a n n a", and not "it is a sale"."""
    beside = [heard.lower[place] for place in (index - 1, index + 1) if 0 <= place < len(heard)]
    return any(len(word) == 1 and word.isalpha() for word in beside)
