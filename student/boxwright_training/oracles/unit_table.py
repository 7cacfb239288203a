"""Units and what they are exactly, in the unit of their dimension that has the factor 1.

Sources: NIST Special Publication 811 (2008), appendix B, for the exact factors of the inch (2.54 cm), the avoirdupois
pound (0.453 592 37 kg), the US gallon (231 cubic inches), the nautical mile (1852 m) and what derives from them; the SI
brochure for prefixes, minute, hour, day, hectare, litre and tonne; IEC 80000-13 for KiB, MiB and GiB. Foot and mile are
the international ones.
"""

from __future__ import annotations

from dataclasses import dataclass

DEGREES = ("degrees Celsius", "degrees Fahrenheit", "kelvins")


@dataclass(frozen=True)
class Unit:
    """A unit of a dimension."""

    many: str
    """Its name behind a number."""
    one: str
    """Its name behind "1"."""
    factor: str
    """What one of it is in the base, as the calculator reads it; always exact."""


@dataclass(frozen=True)
class Dimension:
    """Units that can be turned into each other."""

    name: str
    base: str
    """The unit that factors are told in, behind a number."""
    units: tuple[Unit, ...]


DIMENSIONS = (
    Dimension(
        "length",
        "metres",
        (
            Unit("millimetres", "millimetre", "0.001"),
            Unit("centimetres", "centimetre", "0.01"),
            Unit("metres", "metre", "1"),
            Unit("kilometres", "kilometre", "1000"),
            Unit("inches", "inch", "0.0254"),
            Unit("feet", "foot", "0.3048"),
            Unit("yards", "yard", "0.9144"),
            Unit("miles", "mile", "1609.344"),
            Unit("nautical miles", "nautical mile", "1852"),
        ),
    ),
    Dimension(
        "mass",
        "kilograms",
        (
            Unit("grams", "gram", "0.001"),
            Unit("kilograms", "kilogram", "1"),
            Unit("tonnes", "tonne", "1000"),
            Unit("ounces", "ounce", "0.028349523125"),
            Unit("pounds", "pound", "0.45359237"),
            Unit("stone", "stone", "6.35029318"),
            Unit("short tons", "short ton", "907.18474"),
        ),
    ),
    Dimension(
        "volume",
        "litres",
        (
            Unit("millilitres", "millilitre", "0.001"),
            Unit("litres", "litre", "1"),
            Unit("cubic metres", "cubic metre", "1000"),
            Unit("cubic inches", "cubic inch", "0.016387064"),
            Unit("US fluid ounces", "US fluid ounce", "0.0295735295625"),
            Unit("US pints", "US pint", "0.473176473"),
            Unit("US quarts", "US quart", "0.946352946"),
            Unit("US gallons", "US gallon", "3.785411784"),
        ),
    ),
    Dimension(
        "area",
        "square metres",
        (
            Unit("square centimetres", "square centimetre", "0.0001"),
            Unit("square metres", "square metre", "1"),
            Unit("hectares", "hectare", "10000"),
            Unit("square inches", "square inch", "0.00064516"),
            Unit("square feet", "square foot", "0.09290304"),
            Unit("square yards", "square yard", "0.83612736"),
        ),
    ),
    Dimension(
        "data",
        "bytes",
        (
            Unit("bytes", "byte", "1"),
            Unit("kilobytes", "kilobyte", "1000"),
            Unit("megabytes", "megabyte", "1000000"),
            Unit("gigabytes", "gigabyte", "1000000000"),
            Unit("kibibytes", "kibibyte", "1024"),
            Unit("mebibytes", "mebibyte", "1048576"),
            Unit("gibibytes", "gibibyte", "1073741824"),
            Unit("megabits", "megabit", "125000"),
        ),
    ),
    Dimension(
        "time",
        "seconds",
        (
            Unit("seconds", "second", "1"),
            Unit("minutes", "minute", "60"),
            Unit("hours", "hour", "3600"),
            Unit("days", "day", "86400"),
            Unit("weeks", "week", "604800"),
        ),
    ),
    Dimension(
        "speed",
        "metres per second",
        (
            Unit("metres per second", "metre per second", "1"),
            Unit("kilometres per hour", "kilometre per hour", "(1000 / 3600)"),
            Unit("miles per hour", "mile per hour", "0.44704"),
            Unit("knots", "knot", "(1852 / 3600)"),
            Unit("feet per second", "foot per second", "0.3048"),
        ),
    ),
)

TEMPERATURES = {
    ("degrees Celsius", "degrees Fahrenheit"): ("Fahrenheit is Celsius times 9/5 plus 32", "{value} * 9 / 5 + 32"),
    ("degrees Fahrenheit", "degrees Celsius"): ("Celsius is Fahrenheit less 32, times 5/9", "({value} - 32) * 5 / 9"),
    ("degrees Celsius", "kelvins"): ("kelvins are Celsius plus 273.15", "{value} + 273.15"),
    ("kelvins", "degrees Celsius"): ("Celsius is kelvins less 273.15", "{value} - 273.15"),
    ("degrees Fahrenheit", "kelvins"): (
        "kelvins are Fahrenheit plus 459.67, times 5/9",
        "({value} + 459.67) * 5 / 9",
    ),
    ("kelvins", "degrees Fahrenheit"): (
        "Fahrenheit is kelvins times 9/5 less 459.67",
        "{value} * 9 / 5 - 459.67",
    ),
}
"""By the unit that is given and the one that is asked for: the rule in words, and as an expression."""
