"""Sentences with personal data in many forms, made from a seed, as a corpus for `manage.py evaluate DIRECTORY --task redaction`.

`python -m benchmarks.corpora.personal_data DIRECTORY [--seed 7] [--sentences 2000]` writes it. Numbers get right check digits;
about half of the given names are not among those that the recognizer lists; every fifth sentence holds nothing but what looks
like personal data. Some are in lower case without punctuation, as some transcripts are.
"""

import argparse
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from analysis.redaction import checksums
from analysis.redaction.vocabulary import word_set

_GIVEN: Final = sorted(
    word_set(
        """
        Anna Carlos Fatima Michael Sarah Thomas Priya Elena David Laura
        Ayodele Bronwyn Cheng Darnell Efua Guadalupe Haruto Ingvild Jadwiga Kwabena Linh Mairead Nkechi Oisin Rukmini Siobhan
        """
    )
)
"""The first line is listed by the recognizer, most of the second is not."""
_FAMILY: Final = sorted(
    word_set(
        """
        Miller Okafor Lindqvist Ramirez Tanaka Kowalski Haddad Nguyen Petrov Svensson Abernathy Baptiste Castellano Dimitriou
        Ekström Featherstone Gallagher Hakimi Ivanova Jankowski Kaczmarek Laszlo Montague Nwosu Oyelaran Pankhurst Quartey
        Rosenthal Sato
        """
    )
)
_STREETS: Final = sorted(
    word_set("Oak Maple Birchwood Chapel Victoria Lakeshore Mill Station Park Willow Garfield Highland Juniper")
)
_KINDS: Final = ("Street", "Avenue", "Road", "Lane", "Drive", "Court", "Boulevard", "Terrace")
_TOWNS: Final = (
    "Springfield, Illinois 62704",
    "Portland, Oregon 97205",
    "Austin, Texas 78701",
    "Leeds LS1 4AP",
    "Bristol BS1 5TR",
)
_DOMAINS: Final = ("gmail.com", "outlook.com", "yahoo.com", "example.org", "fjordmail.no", "post.co.uk", "proton.me")
_DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS: Final = (
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS: Final = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November"),
    "December",
)
_ORDINALS: Final = (
    *(
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
        "eleventh",
        "twelfth",
    ),
    *("thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth", "twentieth"),
)
_IBAN_FORMS: Final = {"DE": 18, "AT": 16, "CH": 17, "NL": 0, "ES": 20, "BE": 12}
Chance = random.Random


def corpus(directory: Path, seed: int, count: int) -> None:
    """Writes the sentences and their manifest."""
    directory.mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[str]] = {}
    for form, sentence in sentences(seed, count):
        lines.setdefault(form, []).append(sentence)
    text = "".join(f"[{form}]\n" + "".join(f"{line}\n" for line in group) for form, group in sorted(lines.items()))
    (directory / "generated.txt").write_text(text, encoding="utf-8")
    manifest = {
        "name": f"{count} sentences made with seed {seed}",
        "source": "benchmarks/corpora/personal_data.py; every person, number and address is invented",
        "licence": "Apache-2.0",
        "items": [{"id": "generated", "truth": {"sentences": "generated.txt"}}],
    }
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def sentences(seed: int, count: int) -> Iterator[tuple[str, str]]:
    """The form and the marked sentence, so many of them; the same for the same seed."""
    chance = Chance(seed)
    for number in range(count):
        if number % 5 == 4:
            yield "nothing personal", chance.choice(_HARMLESS)(chance)
            continue
        form, sentence = chance.choice(_MAKERS)(chance)
        if form == "spoken" and chance.random() < 0.3:
            form, sentence = "spoken, lower case", _lower(sentence)
        yield form, sentence


def _name(chance: Chance) -> tuple[str, str]:
    given, family = chance.choice(_GIVEN), chance.choice(_FAMILY)
    name = chance.choice((given, f"{given} {family}", f"{given} {family}"))
    ways = (
        "Hello, my name is {name|%s} and I have a question.",
        "This is {name|%s} calling about my bill.",
        "You are speaking with {name|%s}, how can I help?",
        "I'm {name|%s} from accounting.",
        "Could I speak to {name|%s}, please?",
        "Thank you, {name|%s}, that was all.",
        "What is your name? {name|%s}.",
        "My husband {name|%s} will pick it up.",
        "It was ordered on behalf of {name|%s}.",
        "Yesterday {name|%s} told me the opposite.",
        "I sent the papers to {name|%s} in May.",
    )
    titled = f"{chance.choice(('Mr.', 'Mrs.', 'Dr.', 'Ms.'))} {family}"
    if chance.random() < 0.2:
        return "written", chance.choice(("Is {name|%s} in today?", "I saw {name|%s} on Monday.")) % titled
    return "written", chance.choice(ways) % name


def _spelled_name(chance: Chance) -> tuple[str, str]:
    family = chance.choice(_FAMILY).replace("ö", "O").upper()
    way = chance.choice(
        ("That is spelled {name|%s}.", "My last name is spelled {name|%s}.", "It's {name|%s}, that's my last name.")
    )
    return "spoken", way % " ".join(family)


def _email(chance: Chance) -> tuple[str, str]:
    given, family = chance.choice(_GIVEN).lower(), chance.choice(_FAMILY).lower().replace("ö", "o")
    joint, number = chance.choice((".", "_", "-", "")), chance.choice(("", "", str(chance.randrange(1, 100))))
    domain = chance.choice(_DOMAINS)
    written = f"{given}{joint}{family}{number}@{domain}"
    ways = (
        "My email is {email|%s}.",
        "Please write to {email|%s}, not by post.",
        "It's {email|%s}.",
        "Send it to {email|%s} today.",
    )
    if chance.random() < 0.4:
        return "written", chance.choice(ways) % written
    said = {".": " dot ", "_": " underscore ", "-": " dash ", "": " "}[joint]
    counted = f" {_below_hundred(int(number))}" if number else ""
    spoken = f"{given}{said}{family}{counted} at {domain.replace('.', ' dot ')}"
    return "spoken", chance.choice(ways) % spoken


def _phone(chance: Chance) -> tuple[str, str]:
    area, exchange, line = chance.randrange(201, 990), chance.randrange(201, 990), f"{chance.randrange(10_000):04d}"
    american = f"{area}{exchange}{line}"
    ways = (
        "You can reach me at {phone|%s}.",
        "My number is {phone|%s}.",
        "Call me back on {phone|%s}, please.",
        "The phone number on the account is {phone|%s}.",
        "What is the best number? {phone|%s}.",
    )
    if chance.random() < 0.5:
        written = chance.choice(
            (
                f"{area}-{exchange}-{line}",
                f"({area}) {exchange}-{line}",
                f"+1 {area} {exchange} {line}",
                f"0{chance.randrange(151, 179)} {chance.randrange(10**7):08d}",
                f"+49 {chance.randrange(30, 999)} {chance.randrange(10**6, 10**7)}",
                f"020 7946 {line}",
            )
        )
        return "written", chance.choice(ways) % written
    return "spoken", chance.choice(ways) % _spoken_digits(american, chance)


def _card(chance: Chance) -> tuple[str, str]:
    start, length = chance.choice((("4", 16), ("51", 16), ("2221", 16), ("34", 15), ("6011", 16), ("36", 14)))
    body = start + "".join(str(chance.randrange(10)) for _ in range(length - len(start) - 1))
    number = next(body + str(check) for check in range(10) if checksums.luhn(body + str(check)))
    ways = (
        "My card number is {card|%s}.",
        "Please charge {card|%s}.",
        "It's a credit card, {card|%s}.",
        "The card is {card|%s}, okay?",
    )
    if chance.random() < 0.5:
        four = [number[at : at + 4] for at in range(0, length, 4)]
        return "written", chance.choice(ways) % chance.choice((" ".join(four), "-".join(four), number))
    return "spoken", chance.choice(ways) % _spoken_digits(number, chance)


def _iban(chance: Chance) -> tuple[str, str]:
    country, digits = chance.choice(list(_IBAN_FORMS.items()))
    body = "ABNA" + "".join(str(chance.randrange(10)) for _ in range(10)) if country == "NL" else ""
    body = body or "".join(str(chance.randrange(10)) for _ in range(digits))
    text = next(
        f"{country}{check:02d}{body}" for check in range(2, 99) if checksums.iban(f"{country}{check:02d}{body}")
    )
    ways = ("My IBAN is {iban|%s}.", "Please transfer it to {iban|%s}.", "The account is {iban|%s}, at my bank.")
    if chance.random() < 0.6:
        four = " ".join(text[at : at + 4] for at in range(0, len(text), 4))
        return "written", chance.choice(ways) % chance.choice((text, four))
    said = " ".join(_DIGITS[int(one)] if one.isdigit() else one for one in text)
    return "spoken", chance.choice(ways) % said


def _national_id(chance: Chance) -> tuple[str, str]:
    kinds: tuple[tuple[str, Callable[[Chance], str]], ...] = (
        (
            "My social security number is {national_id|%s}.",
            lambda c: _grouped(_fitting(c, 9, checksums.us_ssn), (3, 2, 4), "-"),
        ),
        ("My tax ID is {national_id|%s}.", lambda c: _grouped(_fitting_german(c), (2, 3, 3, 3), " ")),
        ("My PESEL is {national_id|%s}.", lambda c: _fitting(c, 11, checksums.polish_pesel)),
        ("My NHS number is {national_id|%s}.", lambda c: _grouped(_fitting(c, 10, checksums.uk_nhs), (3, 3, 4), " ")),
        ("The CPF is {national_id|%s}.", lambda c: _fitting(c, 11, checksums.brazilian_cpf)),
        ("My BSN is {national_id|%s}.", lambda c: _fitting(c, 9, checksums.dutch_bsn)),
        (
            "My social insurance number is {national_id|%s}.",
            lambda c: _grouped(_fitting(c, 9, checksums.luhn), (3, 3, 3), " "),
        ),
        ("My identity card says {national_id|%s}.", _dni),
    )
    way, make = chance.choice(kinds)
    number = make(chance)
    if chance.random() < 0.35 and number.replace(" ", "").replace("-", "").isdigit():
        return "spoken", way % _spoken_digits(number.replace(" ", "").replace("-", ""), chance)
    return "written", way % number


def _address(chance: Chance) -> tuple[str, str]:
    house, street, kind = chance.randrange(1, 2000), chance.choice(_STREETS), chance.choice(_KINDS)
    ways = (
        "I live at {address|%s}.",
        "Please send it to {address|%s}.",
        "The address is {address|%s}.",
        "We moved to {address|%s} in June.",
    )
    if chance.random() < 0.6:
        more = chance.choice(("", "", f", {chance.choice(_TOWNS)}", f", Apartment {chance.randrange(1, 99)}"))
        return "written", chance.choice(ways) % f"{house} {street} {kind}{more}"
    said = _spoken_house(house)
    return "spoken", chance.choice(ways[:3]) % f"{said} {street.lower()} {kind.lower()}"


def _birth(chance: Chance) -> tuple[str, str]:
    day, month, year = chance.randrange(1, 29), chance.randrange(1, 13), chance.randrange(1930, 2010)
    ways = (
        "I was born on {birth_date|%s}.",
        "My date of birth is {birth_date|%s}.",
        "Your birthday, please? {birth_date|%s}.",
    )
    if chance.random() < 0.5:
        written = chance.choice(
            (
                f"{_MONTHS[month - 1]} {day}, {year}",
                f"{day} {_MONTHS[month - 1]} {year}",
                f"{day:02d}/{month:02d}/{year}",
                f"{year}-{month:02d}-{day:02d}",
                f"{day}.{month}.{year}",
            )
        )
        return "written", chance.choice(ways) % written
    spoken_day = _ORDINALS[day - 1] if day <= 20 else f"{_TENS[2]} {_ORDINALS[day - 21]}"
    spoken_year = _spoken_year(year)
    said = chance.choice(
        (f"{_MONTHS[month - 1]} {spoken_day} {spoken_year}", f"the {spoken_day} of {_MONTHS[month - 1]} {spoken_year}")
    )
    return "spoken", chance.choice(ways) % said


_MAKERS: Final[Sequence[Callable[[Chance], tuple[str, str]]]] = (
    *(_name, _name, _email, _phone, _card, _iban, _national_id, _address, _birth, _spelled_name),
)
_HARMLESS: Final[Sequence[Callable[[Chance], str]]] = (
    lambda c: f"Your order number is {c.randrange(10**9, 10**10)}.",
    lambda c: f"The tracking number is {c.randrange(10**11, 10**12)}, it was sent on Monday.",
    lambda c: f"That will be {c.randrange(10, 10_000):,} dollars and {c.randrange(100)} cents.",
    lambda c: f"In {c.randrange(1900, 2026)} we sold {c.randrange(1000, 10**7):,} units.",
    lambda c: f"It happened on {c.choice(_MONTHS)} {c.randrange(1, 29)}, {c.randrange(1950, 2026)}.",
    lambda c: (
        f"The meeting is at {c.randrange(1, 12)}:{c.randrange(60):02d} on the {c.choice(_ORDINALS)} of {c.choice(_MONTHS)}."
    ),
    lambda c: f"Model number {c.choice('ABXYZ')}{c.randrange(100, 999)}-{c.randrange(10, 99)} is out of stock.",
    lambda c: f"It is about {c.randrange(2, 90)} minutes down the road, on the second street.",
    lambda c: (
        f"I have used the {c.choice(('Galaxy', 'Pixel', 'ThinkPad'))} {c.randrange(5, 30)} since {c.choice(_MONTHS)}."
    ),
    lambda c: f"We counted {_below_hundred(c.randrange(20, 99))} people and {_below_hundred(c.randrange(1, 99))} dogs.",
    lambda c: f"Reference {c.randrange(10**5, 10**6)}, page {c.randrange(1, 400)}.",
    lambda c: "I'm not happy, and this is not what I paid for.",
    lambda c: f"Flight {c.choice(('LH', 'BA', 'UA'))} {c.randrange(100, 9999)} leaves from gate {c.randrange(1, 60)}.",
    lambda c: f"Press {_DIGITS[c.randrange(1, 10)]} for sales, {_DIGITS[c.randrange(1, 10)]} for support.",
)


def _fitting(chance: Chance, length: int, valid: Callable[[str], bool]) -> str:
    while True:
        digits = "".join(str(chance.randrange(10)) for _ in range(length))
        if valid(digits):
            return digits


def _fitting_german(chance: Chance) -> str:
    while True:
        digits = chance.sample("0123456789", 9)
        digits.append(chance.choice(digits))
        chance.shuffle(digits)
        number = "".join(digits)
        for check in "0123456789":
            if checksums.german_tax(number + check):
                return number + check


def _dni(chance: Chance) -> str:
    number = chance.randrange(10**7, 10**8)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def _grouped(digits: str, lengths: Sequence[int], joint: str) -> str:
    parts, at = [], 0
    for length in lengths:
        parts.append(digits[at : at + length])
        at += length
    return joint.join(parts)


def _spoken_digits(digits: str, chance: Chance) -> str:
    """Digit by digit, with a zero or an oh, doubles, and now and then a pair as a number."""
    zero = chance.choice(("zero", "oh"))
    doubles, pairs = chance.random() < 0.4, chance.random() < 0.2
    words, at = [], 0
    while at < len(digits):
        pair = digits[at : at + 2]
        if doubles and len(pair) == 2 and pair[0] == pair[1]:
            words += ["double", zero if pair[0] == "0" else _DIGITS[int(pair[0])]]
            at += 2
        elif pairs and len(pair) == 2 and pair[0] != "0" and chance.random() < 0.5:
            words.append(_below_hundred(int(pair)))
            at += 2
        else:
            words.append(zero if digits[at] == "0" else _DIGITS[int(digits[at])])
            at += 1
    return " ".join(words)


def _below_hundred(number: int) -> str:
    if number < 10:
        return _DIGITS[number]
    if number < 20:
        return _TEENS[number - 10]
    return _TENS[number // 10] + (f" {_DIGITS[number % 10]}" if number % 10 else "")


def _spoken_house(number: int) -> str:
    if number < 100:
        return _below_hundred(number)
    high, low = divmod(number, 100)
    if low == 0:
        return f"{_below_hundred(high)} hundred"
    return f"{_below_hundred(high)} {'oh ' if low < 10 else ''}{_below_hundred(low)}"


def _spoken_year(year: int) -> str:
    if year >= 2000:
        return "two thousand" + (f" and {_below_hundred(year - 2000)}" if year > 2000 else "")
    return f"nineteen {'oh ' if year % 100 < 10 else ''}{_below_hundred(year % 100)}"


def _lower(sentence: str) -> str:
    """Without capitals and punctuation, but for what an address or a mark needs."""
    return "".join(one for one in sentence.lower() if one not in ".,?!")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpora.personal_data", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--sentences", type=int, default=2000)
    given = parser.parse_args()
    corpus(given.directory, given.seed, given.sentences)


if __name__ == "__main__":
    main()
