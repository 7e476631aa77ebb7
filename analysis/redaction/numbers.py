"""Numbers that are told by their own check digits or by what the speaker calls them: payment cards, IBANs, national identity
numbers, and numbers said to be an account, a passport or a code.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from analysis.redaction import checksums
from analysis.redaction.heard import Heard, cue_before, cue_in
from analysis.redaction.spans import DataType, Found
from analysis.redaction.spelling import Group, digit_runs, letter_runs, windows
from analysis.redaction.vocabulary import phrases

_BACK: Final = 12
"""Words before a number in which a cue counts."""
_ON: Final = 6
"""Words after it."""

_ISSUERS: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[689]\d)\d{11}"  # Diners Club
    r"|(?:6011|64[4-9]\d|65\d{2}|622\d)\d{12,15}"  # Discover, UnionPay
    r"|35(?:2[89]|[3-8]\d)\d{12,15}"  # JCB
    r"|(?:50|5[6-9]|6[37])\d{10,17}"  # Maestro
)
_CARD_CUES: Final = phrases(
    """
    card; visa; mastercard; amex; american express; credit; debit; diners club; karte; tarjeta; carte; pay with;
    charge; maestro
    """
)


@dataclass(frozen=True, slots=True)
class Cards:
    """Thirteen to nineteen digits with an issuer's prefix and length and a right Luhn digit. One that fails is no card."""

    name: str = "card"

    def find(self, heard: Heard, /) -> Iterator[Found]:
        for run in digit_runs(heard):
            done = -1
            for first, last, text in windows(run, 12, 19):
                if first <= done or not _ISSUERS.fullmatch(text) or not checksums.luhn(text):
                    continue
                words = run[first].first, run[last].last
                if _apart(heard, run, first, last) or cue_in(heard.before(words[0], _BACK), _CARD_CUES):
                    done = last
                    yield Found(DataType.CARD, *words, 0.99)


@dataclass(frozen=True, slots=True)
class Ibans:
    """A country's two letters, its own length, and a right check by MOD 97-10."""

    name: str = "iban"

    def find(self, heard: Heard, /) -> Iterator[Found]:
        for run in letter_runs(heard):
            done = -1
            for first, last, text in windows(run, 15, 32):
                if first > done and checksums.iban(text):
                    done = last
                    yield Found(DataType.IBAN, run[first].first, run[last].last, 0.99)


_ANY_CUE: Final = phrases(
    """
    id number; identity number; national id; identity card; tax number; tax id; personal number;
    identification number; national number; social security; id card; citizen number
    """
)


@dataclass(frozen=True, slots=True)
class NationalNumber:
    """One country's number. `shapes` are the groups that it is written in, which tell it without any cue; `alone`: its own form
    is enough."""

    country: str
    form: re.Pattern[str]
    valid: Callable[[str], bool]
    cues: tuple[str, ...]
    alone: bool = False
    shapes: tuple[tuple[int, ...], ...] = ()

    def fits(self, text: str) -> bool:
        return self.form.fullmatch(text) is not None and not checksums.repeated(text) and self.valid(text)

    def score(self, shape: tuple[int, ...], said: Sequence[str]) -> float:
        """For one that fits: 0.0 where neither its form, nor its groups, nor anything said around it makes it such a number."""
        if self.alone or shape in self.shapes:
            return 0.95
        return 0.9 if cue_in(said, (*self.cues, *_ANY_CUE)) else 0.0


def _number(
    country: str,
    form: str,
    valid: Callable[[str], bool],
    *cues: str,
    alone: bool = False,
    shapes: tuple[tuple[int, ...], ...] = (),
) -> NationalNumber:
    return NationalNumber(country, re.compile(form), valid, cues, alone, shapes)


def _always(_text: str) -> bool:
    return True


NATIONAL_NUMBERS: Final = (
    _number("US", r"\d{9}", checksums.us_ssn, "ssn", "social", "social security", shapes=((3, 2, 4),)),
    _number(
        *("GB", r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]", _always, "national insurance", "ni number"),
        alone=True,
    ),
    _number("GB", r"\d{10}", checksums.uk_nhs, "nhs"),
    _number("CA", r"\d{9}", checksums.luhn, "social insurance", "sin"),
    _number("DE", r"\d{11}", checksums.german_tax, "steuer-id", "steuernummer", "idnr", shapes=((2, 3, 3, 3),)),
    _number("ES", r"(?:\d{8}|[XYZ]\d{7})[A-Z]", checksums.spanish_dni, "dni", "nie", "nif", alone=True),
    _number("IT", r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]", checksums.italian_fiscal_code, alone=True),
    _number("FR", r"\d{15}", checksums.french_nir, "sécurité sociale", "insee", "nir", shapes=((1, 2, 2, 2, 3, 3, 2),)),
    _number("NL", r"\d{9}", checksums.dutch_bsn, "bsn", "burgerservicenummer", "citizen service"),
    _number(
        "BE", r"\d{11}", checksums.belgian_number, "rijksregisternummer", "registre national", shapes=((2, 2, 2, 3, 2),)
    ),
    _number("PL", r"\d{11}", checksums.polish_pesel, "pesel"),
    _number("PT", r"\d{9}", checksums.portuguese_nif, "nif", "contribuinte"),
    _number("SE", r"(?:\d{2})?\d{10}", checksums.swedish_number, "personnummer", shapes=((6, 4), (8, 4))),
    _number("NO", r"\d{11}", checksums.norwegian_number, "fødselsnummer", "birth number", shapes=((6, 5),)),
    _number("DK", r"\d{10}", checksums.danish_cpr, "cpr"),
    _number(
        "FI",
        r"\d{6}A?\d{3}[0-9A-Y]",
        lambda text: checksums.finnish_code(text[:6] + text[-4:]),
        "henkilötunnus",
        "hetu",
    ),
    _number("CH", r"\d{13}", checksums.swiss_ahv, "ahv", "avs", alone=True),
    _number("AT", r"\d{10}", checksums.austrian_svnr, "sozialversicherungsnummer", "sv-nummer", "insurance number"),
    _number("IE", r"\d{7}[A-W][A-I]?", checksums.irish_pps, "pps", "ppsn", alone=True),
    _number("BR", r"\d{11}", checksums.brazilian_cpf, "cpf", shapes=((3, 3, 3, 2),)),
    _number("IN", r"\d{12}", checksums.indian_aadhaar, "aadhaar", "aadhar"),
    _number("AU", r"\d{9}", checksums.australian_tfn, "tax file", "tfn"),
    _number("TR", r"\d{11}", checksums.turkish_number, "kimlik"),
    _number("CN", r"\d{17}[0-9X]", checksums.chinese_number, "resident identity", alone=True),
    _number("ZA", r"\d{13}", checksums.south_african_id, "south african id"),
)


@dataclass(frozen=True, slots=True)
class NationalNumbers:
    """Identity, tax and insurance numbers of people, with their check digits where they have them."""

    name: str = "national_id"

    def find(self, heard: Heard, /) -> Iterator[Found]:
        for run in letter_runs(heard):
            for first, last, text in windows(run, 8, 18):
                words = run[first].first, run[last].last
                fitting = [one for one in NATIONAL_NUMBERS if one.fits(text)]
                if fitting and _apart(heard, run, first, last):
                    shape = tuple(len(group.text) for group in run[first : last + 1])
                    said = [*heard.before(words[0], _BACK), "|", *heard.after(words[1], _ON)]
                    if score := max(one.score(shape, said) for one in fitting):
                        yield Found(DataType.NATIONAL_ID, *words, score)


_IDENTIFIER_CUES: Final = phrases(
    """
    card number; credit card; debit card; card is; account number; bank account; routing number; sort code;
    security code; verification code; access code; passcode; cvv; cvc; pin is; pin number; my pin; passport number;
    passport; license number; licence number; driver's license; member id; social security number;
    insurance number; iban; kontonummer; kartennummer; ausweisnummer; número de cuenta; numéro de compte;
    policy number; medical record number; patient number
    """
)


@dataclass(frozen=True, slots=True)
class SaidToBePersonal:
    """Three digits or more that follow what the speaker calls a card, an account, a passport or a code: a number of which a digit
    was misheard passes no check, and is no less personal."""

    name: str = "said_to_be_personal"

    def find(self, heard: Heard, /) -> Iterator[Found]:
        for run in letter_runs(heard):
            first = next((place for place, group in enumerate(run) if group.text.isdigit() or group.written), None)
            if first is None:
                continue
            while first > 0 and len(run[first - 1].text) == 1 and run[first - 1].first == run[first].first - 1:
                if heard.lower[run[first - 1].first] in ("a", "i"):
                    break
                first -= 1
            text = "".join(group.text for group in run[first:])
            if sum(character.isdigit() for character in text) < 3:
                continue
            if cue_before(heard.before(run[first].first, 7), _IDENTIFIER_CUES):
                yield Found(DataType.IDENTIFIER, run[first].first, run[-1].last, 0.6)


def _apart(heard: Heard, run: Sequence[Group], first: int, last: int) -> bool:
    """Whether the stretch is no part of a longer number: nothing of the run beside it, or a pause in writing between."""
    before = first == 0 or _no_part(heard, run[first - 1]) or heard.breaks_after(run[first - 1].last)
    after = last == len(run) - 1 or _no_part(heard, run[last + 1]) or heard.breaks_after(run[last].last)
    within = run[first - 1].last == run[first].first if first else False
    beyond = run[last + 1].first == run[last].last if last < len(run) - 1 else False
    return before and after and not within and not beyond


def _no_part(heard: Heard, group: Group) -> bool:
    """Little words that are also letters."""
    return heard.lower[group.first] in ("a", "i", "o", "no", "id") and group.first == group.last
