"""Draws values together with the words a question says them in: numbers, lists, dates, times, made-up strings."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from datetime import date, timedelta

from boxwright_training.pocket.rows import words_in

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Given = tuple[Json, str]
"""A value, and how the question says it."""

_ONES = words_in(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS = words_in("twenty thirty forty fifty sixty seventy eighty ninety")
_MONTHS = words_in("January February March April May June July August September October November December")
_ONSETS = words_in("b br c ch cl d dr f fl g gr h j k kl l m n p pr qu r s sh sk st t th tr v w y z")
_VOWELS = words_in("a e i o u ai ea ee ia io oo ou")
_CODAS = ["", "", "l", "n", "r", "s", "x", "m", "nd", "rt", "ck", "th"]
_EXTENSIONS = words_in("txt csv pdf json md py log xml png jpg html yaml docx xlsx zip tar.gz sql ts rs mp3")
_FOLDERS = words_in(
    "home user data docs src tmp var projects reports images backup share config logs Downloads archive"
)
_DOMAINS = words_in("com org net io dev co.uk de edu example.com")
_EPOCH = date(1950, 1, 1)


def chance(rng: random.Random, probability: float) -> bool:
    """Return True with this probability."""
    return rng.random() < probability


def number_words(value: int) -> str:
    """Return an integer from 0 to 999,999 in English words."""
    if value < 20:
        return _ONES[value]
    if value < 100:
        tens = _TENS[value // 10 - 2]
        return f"{tens}-{_ONES[value % 10]}" if value % 10 else tens
    if value < 1000:
        rest = f" and {number_words(value % 100)}" if value % 100 else ""
        return f"{_ONES[value // 100]} hundred{rest}"
    rest = f" {number_words(value % 1000)}" if value % 1000 else ""
    return f"{number_words(value // 1000)} thousand{rest}"


def say_integer(rng: random.Random, value: int, level: float) -> str:
    """Return one of the forms in which a question may write an integer; digits mostly."""
    roll = rng.random()
    if 0 <= value <= 20 and roll < 0.15 * level:
        return number_words(value)
    if 20 < value < 1000 and roll < 0.03 * level:
        return number_words(value)
    if value >= 1000 and value % 1000 == 0 and roll < 0.1 * level:
        return number_words(value) if value < 1_000_000 else f"{value:,}"
    if value >= 1000 and roll < 0.4 * level:
        return f"{value:,}"
    return str(value)


def integer(rng: random.Random, level: float, low: int = 1, high: int = 999) -> Given:
    """Draw an integer; small ones more often than large ones."""
    if high - low > 100 and low >= 0 and chance(rng, 0.5):
        high = low + 100
    value = rng.randint(low, high)
    if value > 100 and chance(rng, 0.25):
        value -= value % (100 if value > 1000 else 10)
        value = max(value, low)
    return value, say_integer(rng, value, level)


def decimal(rng: random.Random, high: float = 1000.0, places: int = 0) -> Given:
    """Draw a decimal whose JSON form and whose form in the question are the same digits."""
    places = places or rng.choice((1, 1, 2, 2, 3, 4))
    scale = 10.0 if chance(rng, 0.4) else high
    value = round(rng.random() * scale, places)
    return value, repr(value)


def number(rng: random.Random, level: float, high: int = 1000) -> Given:
    """Draw a number as a question may hold one: whole two times in three."""
    if chance(rng, 0.62):
        return integer(rng, level, 1, high)
    return decimal(rng, float(high))


def join(rng: random.Random, said: Sequence[str], level: float) -> str:
    """Return items as an enumeration in running text, or as a literal list."""
    if len(said) == 1:
        return said[0]
    roll = rng.random()
    if roll < 0.5 or level < 0.1:
        comma = "," if len(said) > 2 and chance(rng, 0.2) else ""
        return f"{', '.join(said[:-1])}{comma} and {said[-1]}"
    if roll < 0.75:
        return ", ".join(said)
    return f"[{', '.join(said)}]"


def join_numbers(rng: random.Random, said: Sequence[str], level: float) -> str:
    """Return numbers as an enumeration, with the terse forms that only numbers bear."""
    roll = rng.random()
    if roll < 0.12 * level:
        return " ".join(said)
    if roll < 0.22 * level:
        return ",".join(said)
    if roll < 0.25 * level:
        return "; ".join(said)
    return join(rng, said, level)


def numbers(rng: random.Random, level: float, whole: bool) -> Given:
    """Draw a list of two to eight numbers."""
    count = rng.randint(2, 4 if level < 0.3 else 8)
    high = rng.choice((13, 20, 100, 100, 1000))
    drawn = [integer(rng, 0, 1, high) if whole or chance(rng, 0.6) else decimal(rng, float(high)) for _ in range(count)]
    return [value for value, _ in drawn], join_numbers(rng, [said for _, said in drawn], level)


def say_date(rng: random.Random, day: date) -> str:
    """Return a date as people write it, with its year; never with a day that could be taken for its month."""
    month = _MONTHS[day.month - 1]
    short = month[:3]
    return rng.choice(
        (
            f"{month} {day.day}, {day.year}",
            f"{day.day} {month} {day.year}",
            f"{day.isoformat()}",
            f"{day.isoformat()}",
            f"{short} {day.day}, {day.year}",
            f"{month} {day.day}{_ordinal(day.day)}, {day.year}",
            f"the {day.day}{_ordinal(day.day)} of {month} {day.year}",
            f"{day.year}/{day.month:02d}/{day.day:02d}",
        )
    )


def _ordinal(day: int) -> str:
    return "th" if 10 <= day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def some_date(rng: random.Random) -> date:
    """Draw a date from 1950 to 2049, recent ones more often."""
    return _EPOCH + timedelta(days=rng.randrange(25000, 29500) if chance(rng, 0.6) else rng.randrange(36500))


def some_time(rng: random.Random) -> Given:
    """Draw a time of day: HH:MM, and how it is said."""
    hour, minute = rng.randrange(24), rng.choice((0, 0, 15, 30, 45, rng.randrange(60)))
    value = f"{hour:02d}:{minute:02d}"
    half = "am" if hour < 12 else "pm"
    clock = f"{(hour - 1) % 12 + 1}:{minute:02d}" if minute or chance(rng, 0.4) else f"{(hour - 1) % 12 + 1}"
    return value, rng.choice((value, value, f"{clock} {half}", f"{clock}{half}", f"{clock} {half.upper()}"))


def made_word(rng: random.Random) -> str:
    """Return a pronounceable word that no one knows."""
    parts = (rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(rng.choice((1, 2, 2, 3))))
    return "".join(parts)


def identifier(rng: random.Random, level: float) -> str:
    """Return an identifier that can only be copied: digits, prefixed, hex, mixed case, UUID."""
    roll = rng.random()
    if roll < 0.25:
        return "".join(rng.choices(string.digits, k=rng.randint(3, 8))).replace("0", "7", 1)
    if roll < 0.55 or level < 0.2:
        prefix = "".join(rng.choices(string.ascii_uppercase, k=rng.randint(1, 4)))
        return f"{prefix}{rng.choice('-_-#')}{rng.randint(1, 99999)}".replace("#", "")
    if roll < 0.7:
        return f"{made_word(rng)}_{rng.getrandbits(20):x}"
    if roll < 0.8:
        return f"{rng.getrandbits(rng.choice((32, 48, 64))):x}"
    if roll < 0.95:
        return "".join(rng.choices(string.ascii_letters + string.digits, k=rng.randint(5, 16)))
    return f"{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}-{rng.getrandbits(16):04x}"


def file_path(rng: random.Random) -> str:
    """Return a path of a file, absolute or relative."""
    folders = rng.sample(_FOLDERS, rng.randint(0, 3))
    stem = made_word(rng) + rng.choice(("", "", f"_{rng.randint(1, 2030)}", f"-v{rng.randint(1, 9)}"))
    path = "/".join([*folders, f"{stem}.{rng.choice(_EXTENSIONS)}"])
    return rng.choice(("", "/", "./", "~/", "")) + path if folders else path


def web_address(rng: random.Random) -> str:
    """Return a URL."""
    host = f"{rng.choice(('', 'www.', 'api.'))}{made_word(rng)}.{rng.choice(_DOMAINS)}"
    tail = "/".join(made_word(rng) for _ in range(rng.randint(0, 2)))
    query = f"?id={rng.randint(1, 9999)}" if tail and chance(rng, 0.2) else ""
    return f"{rng.choice(('https', 'https', 'http'))}://{host}{'/' if tail else ''}{tail}{query}"


def mail_address(rng: random.Random, name: str) -> str:
    """Return an e-mail address for a name."""
    user = name.lower().replace(" ", rng.choice((".", "_", "")))
    user = user if user.isascii() else made_word(rng)
    return f"{user}{rng.choice(('', rng.randint(1, 99)))}@{made_word(rng)}.{rng.choice(_DOMAINS[:6])}"


def expression(rng: random.Random, depth: int = 0) -> str:
    """Return an arithmetic expression to be copied as it stands."""
    if depth > 2 or (depth and chance(rng, 0.45)):
        return number(rng, 0, 100)[1]
    left, right = expression(rng, depth + 1), expression(rng, depth + 1)
    sign = rng.choice("+-*/+-*/+-*/%^") if chance(rng, 0.93) else "**"
    text = f"{left} {sign} {right}" if chance(rng, 0.8) else f"{left}{sign}{right}"
    return f"({text})" if depth and chance(rng, 0.7) else text


def spoken_sum(rng: random.Random) -> Given:
    """Return a sum of two numbers: the expression, and how it is said."""
    sign, words = rng.choice(
        (("+", "plus"), ("-", "minus"), ("*", "times"), ("*", "multiplied by"), ("/", "divided by"))
    )
    left, right = number(rng, 0, 500)[1], number(rng, 0, 500)[1]
    return f"{left} {sign} {right}", f"{left} {words} {right}"


def code(rng: random.Random) -> str:
    """Return a short piece of code."""
    name, other = made_word(rng), made_word(rng)
    amount = rng.randint(0, 99)
    return rng.choice(
        (
            f"print({name} + {amount})",
            f"def {name}({other}): return {other} * {amount}",
            f"for {name} in range({amount}): {other}({name})",
            f"SELECT {name} FROM {other} WHERE id = {amount}",  # noqa: S608 - a text to be copied, never run
            f"x = [{name}, {amount}, '{other}']",
            f"{name}.{other}({amount}) == {rng.randint(0, 9)}",
            f"if ({name} > {amount}) {{ return {other}; }}",
        )
    )
