"""Names of people, by what is said around them: introductions, titles, greetings, relations, spelling out; and given names that
are hardly anything else, with what follows them. Capitals are what a transcript has to show for a name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from analysis.redaction.heard import Heard, cue_before
from analysis.redaction.spans import DataType, Found
from analysis.redaction.spelling import letter_runs
from analysis.redaction.vocabulary import BRANDS, FILLERS, GIVEN_NAMES, NOT_NAMES, phrases, word_set

_LONGEST: Final = 4
_PARTICLES: Final = word_set("de del della der den di da dos das du la le van von vom zu zum bin ibn al el ter ten")
_TITLES: Final = word_set(
    """
    mr mrs ms miss mx mister missus dr doctor prof professor sir herr frau señor señora sr sra monsieur madame mme
    """
)
_CERTAIN_CUES: Final = phrases(
    """
    my name is; my name's; name is; name's; i am called; my full name is; first name; first name is; last name; last name is;
    surname; surname is; family name; family name is; maiden name; maiden name is; middle name; middle name is; mein name ist;
    ich heiße; me llamo; mi nombre es; je m'appelle; mon nom est
    """
)
"""Said before a name and hardly before anything else: a transcript without capitals is believed here, too."""
_LIKELY_CUES: Final = phrases(
    """
    call me; on behalf of; speaking with; speak with; speak to; spoke to; spoke with; talk to; talked to; talk with; talked with;
    ask for; speaking to; dear; regards; hi; hello; hey; good morning; good afternoon; good evening; thanks; thank you
    """
)
_LOOSE_CUES: Final = phrases(
    """
    this is; i'm; i am; it's; you're speaking with; here is; that's; attention; contact; signed; sincerely; named; called;
    guten tag; bonjour; hola; hier spricht; hier ist; ich bin; je suis; soy
    """
)
_INTRODUCTIONS: Final = {
    **dict.fromkeys(_LOOSE_CUES, 0.65),
    **dict.fromkeys(_LIKELY_CUES, 0.8),
    **dict.fromkeys(_CERTAIN_CUES, 0.95),
}
_CERTAIN: Final = 0.9
_QUESTIONS: Final = phrases(
    """
    your name; your name please; who am i speaking with; who am i speaking to; who is calling; who's calling;
    your full name; your last name; your first name; your surname; ihr name; wie heißen sie; su nombre; votre nom;
    may i have your name; name please; speaking with; speaking to
    """
)
_BEFORE_ANSWER: Final = word_set("it's it is yes yeah sure yep of course that's that um uh ja sí oui")
_RELATIONS: Final = word_set(
    """
    wife husband son daughter mother father mom dad mum brother sister partner boss manager doctor colleague friend
    neighbor neighbour assistant lawyer uncle aunt cousin nephew niece grandson granddaughter roommate landlord
    fiancé fiancée agent nurse teacher
    """
)
_SPEAKING: Final = word_set("told said says asked promised answered replied mentioned explained assured")
"""What people do, and hardly anything else."""
_SPELLING_CUES: Final = ("spelled", "spelt", "spell", "spell it", "name", "name is", "that's", "it's")


@dataclass(frozen=True, slots=True)
class Names:
    name: str = "name"

    def find(self, heard: Heard, /) -> Iterator[Found]:
        for index in range(len(heard)):
            if heard.bare[index] and (found := _begins(heard, index)) is not None:
                yield found
        yield from _spelled(heard)


def _begins(heard: Heard, index: int) -> Found | None:
    """The name, or the title and the name, that begins with this word."""
    score = _introduced(heard, index)
    last = _name(heard, index, certain=score >= _CERTAIN) if score else None
    if last is not None and heard.after(last, 1) != ["dot"]:
        return Found(DataType.NAME, index, last, score)
    if _title(heard, index) and index + 1 < len(heard) and not heard.comma_after(index):
        last = _name(heard, index + 1)
        if last is not None and heard.lower[index + 1] not in BRANDS:
            return Found(DataType.NAME, index, last, 0.9)
    if heard.capital(index) and (last := _name(heard, index)) is not None:
        if heard.lower[index].removesuffix("'s") in GIVEN_NAMES:
            return Found(DataType.NAME, index, last, 0.75 if last == index else 0.85)
        speaks = heard.after(last, 1) and heard.after(last, 1)[0] in _SPEAKING and not heard.breaks_after(last)
        if speaks and not heard.begins_sentence(index):
            return Found(DataType.NAME, index, last, 0.7)
    return None


def parts_of_name(heard: Heard, within: range) -> list[str]:
    """The parts of a name that stand for it by themselves: written as names, and neither titles nor little words."""
    return [
        heard.bare[index]
        for index in within
        if heard.capital(index)
        and len(heard.bare[index]) > 2
        and heard.lower[index].rstrip(".") not in _TITLES | _PARTICLES | NOT_NAMES
    ]


def _title(heard: Heard, index: int) -> bool:
    word = heard.lower[index].rstrip(".")
    return word in ("doctor", "mister") or (word in _TITLES and heard.capital(index))


def _introduced(heard: Heard, index: int) -> float:
    """How surely what is said before this word introduces a name; 0.0 where nothing does."""
    while index > 0 and heard.lower[index - 1] in FILLERS:
        index -= 1  # "my name is, um, Anna"
    before = heard.lower[max(0, index - 4) : index]
    for length in range(min(4, len(before)), 0, -1):
        cue = " ".join(before[-length:])
        if cue in _INTRODUCTIONS and not heard.ends_sentence(index - 1):
            return _INTRODUCTIONS[cue]
    owned = len(before) > 1 and before[-1] in _RELATIONS and not _OWNERS.isdisjoint(before[-3:-1])
    if owned and not heard.ends_sentence(index - 1):
        return 0.8
    if index > 1 and before[-1] in _AND and heard.words[index - 2].text.startswith(DataType.NAME.placeholder):
        return 0.7
    start = index
    while start > 0 and index - start < 3 and heard.lower[start - 1] in _BEFORE_ANSWER:
        start -= 1
    said = heard.before(start, 6)
    if start == 0 or heard.ends_sentence(start - 1) or heard.asked(start):
        at = cue_before(said, _QUESTIONS)
        if 0 < at <= 3:
            return 0.85
    return 0.0


_AND: Final = word_set("and or und oder y et")
_OWNERS: Final = frozenset({"my", "your", "his", "her", "our", "their", "the"})


def _name(heard: Heard, index: int, *, certain: bool = False) -> int | None:
    """The last word of the name that begins there; None where none does. `certain`: without capitals in the whole transcript, up
    to two words are taken on trust."""
    if not heard.cased and certain:
        last = index - 1
        while last + 1 < min(len(heard), index + 2) and _plain_name(heard, last + 1):
            last += 1
            if heard.breaks_after(last):
                break
        return last if last >= index else None
    at, found = index, -1
    while at < len(heard) and at - index < _LONGEST:
        title = heard.lower[at] in _TITLES and heard.bare[at][:1].isupper()
        if heard.lower[at] in _PARTICLES and _goes_on(heard, at):
            at += 1
            continue
        word = heard.lower[at].removesuffix("'s")
        if (
            not heard.capital(at)
            or not NOT_NAMES.isdisjoint((word, heard.lower[at]))
            or (len(word) == 1 and at == index)
        ):
            break
        if not title:
            found = at
        if heard.breaks_after(at) or heard.bare[at].endswith("'s"):
            break
        at += 1
    return found if found >= 0 else None


def _goes_on(heard: Heard, index: int) -> bool:
    """Whether a capital follows this little word, or one more little word and a capital."""
    for at in range(index + 1, min(len(heard), index + 3)):
        if heard.breaks_after(at - 1):
            return False
        if heard.capital(at):
            return True
        if heard.lower[at] not in _PARTICLES:
            return False
    return False


def _plain_name(heard: Heard, index: int) -> bool:
    word = heard.lower[index]
    return word.isalpha() and len(word) > 1 and word not in NOT_NAMES and word not in FILLERS


def _spelled(heard: Heard) -> Iterator[Found]:
    """ "M I L L E R", "N as in November, G as in golf": three letters or more where a name or a spelling is spoken of."""
    for run in letter_runs(heard):
        letters = [one for one in run if len(one.text) == 1 and (one.text.isalpha() or heard.lower[one.first] == "o")]
        if len(letters) < 3 or len(letters) != len(run):
            continue
        first, last = run[0].first, run[-1].last
        said = [*heard.before(first, 6)]
        ahead = heard.after(last, 8)
        if cue_before(said, _SPELLING_CUES) or "spell" in ahead or "name" in ahead:
            yield Found(DataType.NAME, first, last, 0.8)
