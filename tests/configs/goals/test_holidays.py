"""Public holidays of a country."""

from datetime import date

import pytest

from configs.goals.holidays import check_country, list_holidays


def test_holidays_lie_within_the_days_and_in_order():
    found = list_holidays("NL", date(2024, 12, 25), date(2025, 4, 21))
    assert found == [
        date(2024, 12, 25),
        date(2024, 12, 26),
        date(2025, 1, 1),
        date(2025, 4, 18),
        date(2025, 4, 20),
        date(2025, 4, 21),
    ]


def test_subdivision_has_holidays_of_its_own():
    day = date(2025, 11, 1)
    assert list_holidays("DE-BY", day, day) == [day]
    assert list_holidays("DE", day, day) == []


@pytest.mark.parametrize("code", ["", "-", "XX", "de", "DE-", "DE-XX", "DE-BY-X", "CON", "../DE"])
def test_unknown_countries_are_refused(code):
    with pytest.raises(ValueError, match=r"country|subdivision"):
        check_country(code)
