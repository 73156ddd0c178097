"""Public holidays of a country."""

from __future__ import annotations

from datetime import date


def check_country(code: str) -> None:
    """Raise ValueError for a code that is no country, or no country with a subdivision."""
    # Imported here, since few projects name a country.
    from holidays import list_supported_countries

    countries = list_supported_countries()
    country, dash, subdivision = code.partition("-")
    if country not in countries:
        hint = ": write it in capital letters" if country.upper() in countries else ""
        raise ValueError(f"{code!r} is no country by its ISO code, such as NL or DE-BY{hint}")
    if dash and subdivision not in countries[country]:
        known = ", ".join(countries[country]) or "none"
        raise ValueError(f"{code!r}: {country} has no such subdivision; it has {known}")


def list_holidays(code: str, first: date, last: date) -> list[date]:
    """Return the days from first to last that are public holidays, in order.

    ``code`` is that of a country, such as ``NL``, or with a subdivision of it, such as ``DE-BY``.
    """
    from holidays import country_holidays

    country, _, subdivision = code.partition("-")
    years = range(first.year, last.year + 1)
    days = country_holidays(country, subdiv=subdivision or None, years=years)
    return sorted(day for day in days if first <= day <= last)
