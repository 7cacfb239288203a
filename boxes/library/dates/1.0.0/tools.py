"""Calendar arithmetic on ISO dates (YYYY-MM-DD) in the proleptic Gregorian calendar."""

import calendar
from datetime import date, timedelta
from typing import Literal


def days_between(start: str, end: str) -> int:
    """Count the days from one date to another; negative if the second is earlier.

    Args:
        start: The first date, as YYYY-MM-DD.
        end: The second date, as YYYY-MM-DD.
    """
    return (_date("end", end) - _date("start", start)).days


def shift(start: str, amount: int, unit: Literal["days", "weeks", "months", "years"] = "days") -> str:
    """Return the date that lies an amount of days, weeks, months or years after a date, or before it if negative.

    A day that the month does not have becomes the month's last: one month after 31 January is 28 or 29 February.

    Args:
        start: The date to start from, as YYYY-MM-DD.
        amount: How many units; negative goes back.
        unit: The unit.
    """
    day = _date("start", start)
    try:
        if unit in ("days", "weeks"):
            return (day + timedelta(days=amount * (7 if unit == "weeks" else 1))).isoformat()
        months = day.year * 12 + day.month - 1 + amount * (12 if unit == "years" else 1)
        year, month = months // 12, months % 12 + 1
        return date(year, month, min(day.day, calendar.monthrange(year, month)[1])).isoformat()
    except (OverflowError, ValueError):
        raise ValueError(f"{start} shifted by {amount} {unit} leaves the years 1 to 9999") from None


def weekday(day: str) -> str:
    """Return the weekday of a date, such as Monday.

    Args:
        day: The date, as YYYY-MM-DD.
    """
    return ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")[_date("day", day).weekday()]


def _date(name, text):
    try:
        if len(text) != 10:
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} must be a real date as YYYY-MM-DD, got {text!r}") from None
