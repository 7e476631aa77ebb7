"""Check digits: published examples pass, and one digit changed never does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.redaction import checksums
from analysis.redaction.numbers import NATIONAL_NUMBERS, NationalNumber

CARDS = [
    "4111111111111111",
    "5555555555554444",
    "378282246310005",
    "6011111111111117",
    "3530111333300000",
    "30569309025904",
]
IBANS = [
    "DE89370400440532013000",
    "GB29NWBK60161331926819",
    "FR1420041010050500013M02606",
    "ES9121000418450200051332",
    "IT60X0542811101000000123456",
    "NL91ABNA0417164300",
    "CH9300762011623852957",
    "BE68539007547034",
    "AT611904300234573201",
    "NO9386011117947",
]
EXAMPLES = [
    ("US", "219099999", False),
    ("GB", "9434765919", True),
    ("CA", "046454286", True),
    ("DE", "86095742719", True),
    ("ES", "12345678Z", True),
    ("ES", "X1234567L", True),
    ("IT", "RSSMRA85T10A562S", True),
    ("FR", "255081416802538", True),
    ("NL", "111222333", True),
    ("BE", "85073003328", True),
    ("PL", "44051401359", True),
    ("PT", "123456789", True),
    ("SE", "8112189876", True),
    ("NO", "01010750160", True),
    ("DK", "0707614285", False),
    ("FI", "131052308T", True),
    ("CH", "7569217076985", True),
    ("AT", "1237010180", True),
    ("IE", "1234567T", True),
    ("BR", "52998224725", True),
    ("IN", "234123412346", True),
    ("AU", "123456782", True),
    ("TR", "10000000146", True),
    ("CN", "11010519491231002X", True),
    ("ZA", "8001015009087", True),
]


def of_country(country: str, text: str) -> NationalNumber:
    return next(one for one in NATIONAL_NUMBERS if one.country == country and one.form.fullmatch(text))


@pytest.mark.parametrize("digits", CARDS)
def test_a_card_number_with_one_digit_changed_fails_luhn(digits: str) -> None:
    assert checksums.luhn(digits)
    for place, digit in enumerate(digits):
        for other in set("0123456789") - {digit}:
            assert not checksums.luhn(digits[:place] + other + digits[place + 1 :])


@pytest.mark.parametrize("text", IBANS)
def test_an_iban_with_one_digit_changed_or_two_swapped_fails(text: str) -> None:
    assert checksums.iban(text)
    for place in range(2, len(text)):
        if text[place].isdigit():
            other = str((int(text[place]) + 1) % 10)
            assert not checksums.iban(text[:place] + other + text[place + 1 :])
        swapped = text[: place - 1] + text[place] + text[place - 1] + text[place + 1 :]
        if swapped != text:
            assert not checksums.iban(swapped)
    assert not checksums.iban(text + "0")


@pytest.mark.parametrize(("country", "text", "checked"), EXAMPLES, ids=[f"{c}-{t}" for c, t, _ in EXAMPLES])
def test_a_national_number_passes_and_its_neighbours_fail_where_it_has_a_check(
    country: str, text: str, checked: bool
) -> None:
    number = of_country(country, text)
    assert number.fits(text)
    if checked:
        last = max(place for place, character in enumerate(text) if character.isdigit())
        neighbours = [text[:last] + other + text[last + 1 :] for other in set("0123456789") - {text[last]}]
        assert not any(number.fits(other) for other in neighbours)


@given(st.text("0123456789", min_size=9, max_size=18))
def test_no_check_stumbles_over_any_digits(digits: str) -> None:
    for number in NATIONAL_NUMBERS:
        assert number.fits(digits) in (True, False)
    checksums.iban("DE" + digits)
