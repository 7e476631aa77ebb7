"""The check digits of numbers that have them, each by its own published rule. A number of the wrong length fails.

Digits come as a string without separators. The country of each rule is in `national_ids`.
"""

from collections.abc import Sequence
from typing import Final

from analysis.redaction.vocabulary import numbered


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: payment cards, Canadian SIN, Swedish personnummer, South African id."""
    total = 0
    for place, character in enumerate(reversed(digits)):
        digit = int(character) * (2 if place % 2 else 1)
        total += digit - 9 if digit > 9 else digit
    return bool(digits) and total % 10 == 0


def iban(text: str) -> bool:
    """ISO 13616: the country's own length, and ISO 7064 MOD 97-10 over the text with its first four characters at the end."""
    if IBAN_LENGTHS.get(text[:2]) != len(text) or not text.isalnum() or not text[2:4].isdigit():
        return False
    return int("".join(str(int(character, 36)) for character in text[4:] + text[:4])) % 97 == 1


def weighted(digits: str, weights: Sequence[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))


def mod_11_10(digits: str) -> bool:
    """ISO 7064 MOD 11,10: German tax number."""
    product = 10
    for digit in digits[:-1]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


_PERMUTED: Final = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)
_MULTIPLIED: Final = (
    *("0123456789", "1234067895", "2340178956", "3401289567", "4012395678"),
    *("5987604321", "6598710432", "7659821043", "8765932104", "9876543210"),
)


def verhoeff(digits: str) -> bool:
    """Verhoeff's dihedral check: Indian Aadhaar."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_MULTIPLIED[check][int(_PERMUTED[place % 8][int(digit)])])
    return check == 0


def plausible_date(day: int, month: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def us_ssn(d: str) -> bool:
    """No check digit: areas, groups and serials that are never issued (SSA, 2011)."""
    return d[:3] not in ("000", "666") and d[0] != "9" and d[3:5] != "00" and d[5:] != "0000"


def uk_nhs(d: str) -> bool:
    check = 11 - weighted(d[:9], range(10, 1, -1)) % 11
    return check != 10 and check % 11 == int(d[9])


def german_tax(d: str) -> bool:
    """Eleven digits, none of the first ten more than three times, one of them twice or three times."""
    counts = sorted((d[:10].count(digit) for digit in set(d[:10])), reverse=True)
    return d[0] != "0" and counts[0] in (2, 3) and counts[1] == 1 and mod_11_10(d)


def spanish_dni(text: str) -> bool:
    number = str("XYZ".index(text[0])) + text[1:8] if text[0] in "XYZ" else text[:8]
    return number.isdigit() and text[8] == "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]


_ODD: Final = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
    *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21),
    *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
), strict=True))  # fmt: skip


def italian_fiscal_code(text: str) -> bool:
    total = sum(
        _ODD[character] if place % 2 == 0 else int(character, 36) - (10 if character.isalpha() else 0)
        for place, character in enumerate(text[:15])
    )
    return text[15] == chr(ord("A") + total % 26)


def french_nir(d: str) -> bool:
    """Thirteen digits and a key of two: sex, year, month (or 20 and above where it is unknown), department."""
    return d[0] in "12" and (1 <= int(d[3:5]) <= 12 or int(d[3:5]) >= 20) and 97 - int(d[:13]) % 97 == int(d[13:])


def dutch_bsn(d: str) -> bool:
    return int(d) > 0 and weighted(d, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def belgian_number(d: str) -> bool:
    before, since = 97 - int(d[:9]) % 97, 97 - int("2" + d[:9]) % 97
    return plausible_date(int(d[4:6]), int(d[2:4]) % 20) and int(d[9:]) in (before, since)


def polish_pesel(d: str) -> bool:
    return plausible_date(int(d[4:6]), int(d[2:4]) % 20) and weighted(d, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def portuguese_nif(d: str) -> bool:
    check = 11 - weighted(d[:8], range(9, 1, -1)) % 11
    return d[0] in "123" and int(d[8]) == (0 if check >= 10 else check)


def swedish_number(d: str) -> bool:
    d = d[-10:]
    day = int(d[4:6])
    return plausible_date(day - 60 if day > 60 else day, int(d[2:4])) and luhn(d)


def norwegian_number(d: str) -> bool:
    day = int(d[:2])
    return (
        plausible_date(day - 40 if day > 40 else day, int(d[2:4]))
        and weighted(d[:10], (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0
        and weighted(d, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0
    )


def danish_cpr(d: str) -> bool:
    """No check digit since 2007: only a date."""
    return plausible_date(int(d[:2]), int(d[2:4]))


def finnish_code(text: str) -> bool:
    """Without its century sign: six digits, three, and a character."""
    return (
        plausible_date(int(text[:2]), int(text[2:4]))
        and text[9] == "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(text[:9]) % 31]
    )


def swiss_ahv(d: str) -> bool:
    """EAN-13 with Switzerland's prefix."""
    return d.startswith("756") and weighted(d, (1, 3) * 6 + (1,)) % 10 == 0


def austrian_svnr(d: str) -> bool:
    return d[0] != "0" and weighted(d[:3] + d[4:], (3, 7, 9, 5, 8, 4, 2, 1, 6)) % 11 == int(d[3])


def irish_pps(text: str) -> bool:
    second = (int(text[8], 36) - 9) * 9 if len(text) == 9 else 0
    total = weighted(text[:7], range(8, 1, -1)) + second
    return text[7] == "WABCDEFGHIJKLMNOPQRSTUV"[total % 23]


def brazilian_cpf(d: str) -> bool:
    first = weighted(d[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(d[:10], range(11, 1, -1)) * 10 % 11 % 10
    return len(set(d)) > 1 and d[9:] == f"{first}{second}"


def indian_aadhaar(d: str) -> bool:
    return d[0] not in "01" and verhoeff(d)


def australian_tfn(d: str) -> bool:
    return weighted(d, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def turkish_number(d: str) -> bool:
    digits = [int(digit) for digit in d]
    tenth = (sum(digits[0:9:2]) * 7 - sum(digits[1:8:2])) % 10
    return d[0] != "0" and digits[9] == tenth and digits[10] == sum(digits[:10]) % 10


def chinese_number(text: str) -> bool:
    """ISO 7064 MOD 11-2 over seventeen digits."""
    total = weighted(text[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2))
    return plausible_date(int(text[12:14]), int(text[10:12])) and text[17] == "10X98765432"[total % 11]


def south_african_id(d: str) -> bool:
    return plausible_date(int(d[4:6]), int(d[2:4])) and d[10] in "012" and luhn(d)


def repeated(digits: str) -> bool:
    """Whether it is one digit over and over: nobody's number, though many checks pass it."""
    return len(set(digits)) <= 1


IBAN_LENGTHS: Final = numbered(
    """
    AD=24 AE=23 AL=28 AT=20 AZ=28 BA=20 BE=16 BG=22 BH=22 BR=29 BY=28 CH=21 CR=22 CY=28 CZ=24 DE=22 DK=18 DO=28
    EE=20 EG=29 ES=24 FI=18 FO=18 FR=27 GB=22 GE=22 GI=23 GL=18 GR=27 GT=28 HR=21 HU=28 IE=22 IL=23 IQ=23 IS=26
    IT=27 JO=30 KW=30 KZ=20 LB=28 LC=32 LI=21 LT=20 LU=20 LV=21 LY=25 MC=27 MD=24 ME=22 MK=19 MR=27 MT=31 MU=30
    NL=18 NO=15 PK=24 PL=28 PS=29 PT=25 QA=29 RO=24 RS=22 SA=24 SC=31 SE=24 SI=19 SK=24 SM=27 ST=25 SV=28 TL=23
    TN=24 TR=26 UA=29 VA=22 VG=24 XK=20
    """
)
