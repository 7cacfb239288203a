"""The kinds of a tool's parameters: the schema each has, the values it takes, and how a question says them."""

from __future__ import annotations

import random
from collections.abc import Callable

from boxwright_training.pocket import values as v
from boxwright_training.pocket.rows import words_in
from boxwright_training.pocket.slots import Draw, Kind, Schema
from boxwright_training.pocket.values import Given, Json, chance

_UNITS = {
    "meters": ("m", "metres"),
    "kilometers": ("km",),
    "centimeters": ("cm",),
    "kilograms": ("kg", "kilos"),
    "grams": ("g",),
    "seconds": ("s", "sec"),
    "minutes": ("min", "mins"),
    "hours": ("h", "hrs"),
    "liters": ("L", "litres"),
    "milliliters": ("ml",),
    "celsius": ("°C", "degrees Celsius"),
    "degrees": ("°",),
    "miles": ("mi",),
    "dollars": ("USD",),
    "newtons": ("N",),
    "watts": ("W",),
    "volts": ("V",),
    "ohms": ("Ω",),
    "milligrams": ("mg",),
}
_CURRENCIES = {
    "USD": "US dollars", "EUR": "euros", "GBP": "British pounds", "JPY": "Japanese yen", "CHF": "Swiss francs",
    "CAD": "Canadian dollars", "AUD": "Australian dollars", "INR": "Indian rupees", "CNY": "Chinese yuan",
    "SEK": "Swedish kronor", "MXN": "Mexican pesos", "BRL": "Brazilian reais",
}  # fmt: skip
_LANGUAGES = {
    "en": "English", "fr": "French", "de": "German", "es": "Spanish", "it": "Italian", "pt": "Portuguese",
    "ja": "Japanese", "zh": "Chinese", "ru": "Russian", "ar": "Arabic", "nl": "Dutch", "pl": "Polish",
    "sv": "Swedish", "ko": "Korean",
}  # fmt: skip
_COLORS = words_in("red blue green yellow black white orange purple pink teal brown")


def _plain(kind: str) -> Callable[[random.Random, float, str], tuple[Schema, str]]:
    return lambda _rng, _level, _detail: ({"type": kind}, "")


def _number_schema(rng: random.Random, _level: float, detail: str) -> tuple[Schema, str]:
    schema: Schema = {"type": "number"}
    if detail:
        schema["description"] = rng.choice((f"The {{w}} in {detail}.", f"{{W}}, in {detail}", f"{{W}} ({detail})"))
    return schema, ""


def _positive_schema(rng: random.Random, level: float, detail: str) -> tuple[Schema, str]:
    schema, form = _number_schema(rng, level, detail)
    return (schema | {"minimum": 0} if chance(rng, 0.08 * level) else schema), form


def _unit(draw: Draw, said: str, detail: str) -> str:
    if not detail or chance(draw.rng, 0.25):
        return said
    unit = draw.rng.choice((detail, detail, *_UNITS.get(detail, (detail,))))
    close = unit.startswith("°") or (len(unit) < 3 and chance(draw.rng, 0.4))
    return f"{said}{'' if close and said[-1].isdigit() else ' '}{unit}"


def _draw_number(draw: Draw, _form: str, detail: str) -> Given:
    value, said = v.number(draw.rng, draw.level)
    return value, _unit(draw, said, detail)


def _draw_signed(draw: Draw, _form: str, detail: str) -> Given:
    value, said = v.number(draw.rng, draw.level, 200)
    if chance(draw.rng, 0.3) and isinstance(value, int | float):
        value = -value
        said = repr(value) if chance(draw.rng, 0.8) else f"minus {-value}"
    return value, _unit(draw, said, detail)


def _draw_integer(draw: Draw, _form: str, detail: str) -> Given:
    low, _, high = detail.partition("-")
    if not detail and chance(draw.rng, 0.06 * draw.level):
        return v.integer(draw.rng, draw.level, 1000, 5_000_000)
    return v.integer(draw.rng, draw.level, int(low or 1), int(high or 999))


def _integer_schema(rng: random.Random, level: float, detail: str) -> tuple[Schema, str]:
    schema: Schema = {"type": "integer"}
    if detail and chance(rng, 0.25 * level):
        low, _, high = detail.partition("-")
        schema |= {"minimum": int(low), "maximum": int(high)}
    return schema, ""


def _draw_money(draw: Draw, _form: str, _detail: str) -> Given:
    rng = draw.rng
    value: Json = round(rng.random() * 500, 2) if chance(rng, 0.35) else v.integer(rng, 0, 1, 250_000)[0]
    said = f"{value:,}" if chance(rng, 0.5 * draw.level) else repr(value)
    return value, rng.choice((f"${said}", said, f"{said} dollars", f"${said}"))


def _percent_schema(rng: random.Random, _level: float, _detail: str) -> tuple[Schema, str]:
    if chance(rng, 0.6):
        about = rng.choice(
            ("The {w} in percent.", "{W} as a percentage, e.g. 5 for 5%", "{W} (%)", "The {w}, in percent.")
        )
        return {"type": "number", "description": about}, "percent"
    about = rng.choice(("The {w} as a decimal, e.g. 0.05 for 5%.", "{W} as a fraction (0.1 means 10%)"))
    return {"type": "number", "description": about}, "fraction"


def _draw_percent(draw: Draw, form: str, _detail: str) -> Given:
    rng = draw.rng
    value = rng.choice((rng.randint(1, 60), rng.randint(1, 200) / 10, rng.randint(1, 12)))
    said = rng.choice((f"{value}%", f"{value}%", f"{value} percent"))
    return (value, said) if form == "percent" else (round(value / 100, 5), said)


def _string(make: Callable[[Draw], str], natural: tuple[str, ...] = (), *about: str) -> Kind:
    def draw(draw: Draw, _form: str, _detail: str) -> Given:
        text = make(draw)
        return text, text

    return Kind(_plain("string"), draw, about or Kind.about, natural)


def _quoted(draw: Draw, _form: str, _detail: str) -> Given:
    text = draw.phrase()
    return text, f'"{text}"' if chance(draw.rng, 0.6) or "'" in text else f"'{text}'"


def _draw_code(draw: Draw, _form: str, _detail: str) -> Given:
    text = v.code(draw.rng)
    return text, f"`{text}`"


def _date_schema(rng: random.Random, _level: float, _detail: str) -> tuple[Schema, str]:
    if chance(rng, 0.25):
        return {"type": "string", "format": "date"}, "iso"
    if chance(rng, 0.8):
        about = rng.choice(("The {w}, as YYYY-MM-DD.", "{W} in YYYY-MM-DD format", "The {w} (ISO 8601, YYYY-MM-DD)."))
        return {"type": "string", "description": about}, "iso"
    return {"type": "string"}, "as said"


def _draw_date(draw: Draw, form: str, _detail: str) -> Given:
    day = v.some_date(draw.rng)
    said = v.say_date(draw.rng, day) if draw.level > 0.1 else day.isoformat()
    return (day.isoformat(), said) if form == "iso" else (said.removeprefix("the "), said)


def _time_schema(rng: random.Random, _level: float, _detail: str) -> tuple[Schema, str]:
    if chance(rng, 0.65):
        about = rng.choice(("The {w} as HH:MM, 24 hours.", "{W} in 24-hour HH:MM format", "{W} (HH:MM, 24h)"))
        return {"type": "string", "description": about}, "24h"
    return {"type": "string"}, "as said"


def _draw_time(draw: Draw, form: str, _detail: str) -> Given:
    value, said = v.some_time(draw.rng)
    return (value, said) if form == "24h" else (said, said)


def _id_schema(rng: random.Random, _level: float, _detail: str) -> tuple[Schema, str]:
    return ({"type": "integer"}, "integer") if chance(rng, 0.3) else ({"type": "string"}, "string")


def _draw_id(draw: Draw, form: str, _detail: str) -> Given:
    if form == "integer":
        value = draw.rng.randint(1, 99_999_999 if chance(draw.rng, 0.3) else 9999)
        return value, draw.rng.choice((str(value), str(value), f"#{value}"))
    text = v.identifier(draw.rng, draw.level)
    return text, text


def choices(detail: str) -> list[list[str]]:
    """Return each choice of an enum with its other names: `celsius~°C/kelvin` -> [[celsius, °C], [kelvin]]."""
    return [choice.replace("_", " ").split("~") for choice in detail.split("/")]


def _enum_schema(rng: random.Random, level: float, detail: str) -> tuple[Schema, str]:
    found = choices(detail)
    form = rng.choices(("plain", "upper", "other"), (0.7, 0.15 * level + 0.01, 0.15 * level + 0.01))[0]
    canon: list[Json] = [_canon(choice, form) for choice in found]
    if chance(rng, 0.3):
        rng.shuffle(canon)
    schema: Schema = {"type": "string", "enum": canon}
    if chance(rng, 0.1 * level):  # the choices only in words
        return {"type": "string", "description": "{W}: " + ", ".join(f"'{name}'" for name in canon)}, form
    return schema, form


def _canon(choice: list[str], form: str) -> str:
    if form == "other":
        return choice[-1] if choice[-1].isascii() and " " not in choice[-1] else choice[0]
    return choice[0].replace(" ", "_").upper() if form == "upper" else choice[0]


def _draw_enum(draw: Draw, form: str, detail: str) -> Given:
    choice = draw.rng.choice(choices(detail))
    return _canon(choice, form), draw.rng.choice(choice) if draw.level > 0.1 else choice[0]


def _draw_one(draw: Draw, _form: str, detail: str) -> Given:
    choice = draw.rng.choice(choices(detail))[0]
    return choice, choice


def _draw_bool(draw: Draw, _form: str, detail: str) -> Given:
    yes, _, no = detail.replace("_", " ").partition("/")
    value = chance(draw.rng, 0.5) if no else True
    return value, yes if value else no


def _coded(codes: dict[str, str], code_about: str) -> Kind:
    names = list(codes.items())

    def schema(rng: random.Random, _level: float, _detail: str) -> tuple[Schema, str]:
        if chance(rng, 0.55):
            return {"type": "string", "description": code_about}, "code"
        return {"type": "string"}, "as said"

    def draw(draw: Draw, form: str, _detail: str) -> Given:
        code, name = draw.rng.choice(names)
        said = name if len(code) == 2 or chance(draw.rng, 0.5) else code
        return (code, said) if form == "code" else (said, said)

    return Kind(schema, draw)


def _array(items: str, draw: Callable[[Draw], Given]) -> Kind:
    def schema(rng: random.Random, level: float, _detail: str) -> tuple[Schema, str]:
        extra: Schema = {"minItems": 1} if chance(rng, 0.1 * level) else {}
        return {"type": "array", "items": {"type": items}, **extra}, ""

    about = ("The list of {w}.", "{W}", "The {w}.", "A list of {w}", "List of {w}.")
    return Kind(schema, lambda found, _form, _detail: draw(found), about)


def _several(make: Callable[[Draw], str]) -> Callable[[Draw], Given]:
    def draw(draw: Draw) -> Given:
        items = list(dict.fromkeys(make(draw) for _ in range(draw.rng.randint(2, 5))))
        said = [f'"{item}"' for item in items] if chance(draw.rng, 0.2) else items
        return list(items), v.join(draw.rng, said, draw.level)

    return draw


def _items_schema(rng: random.Random, level: float, _detail: str) -> tuple[Schema, str]:
    name, count = rng.choice((("name", "quantity"), ("item", "count"), ("product", "amount")))
    item: Schema = {
        "type": "object",
        "properties": {name: {"type": "string"}, count: {"type": "integer"}},
        "required": [name, count],
    }
    return {"type": "array", "items": item}, f"{name} {count}"


def _draw_items(draw: Draw, form: str, _detail: str) -> Given:
    name, count = form.split()
    found = {draw.pick(): v.integer(draw.rng, 0, 2, 40)[0] for _ in range(draw.rng.randint(1, 3))}
    value: list[Json] = [{name: thing, count: amount} for thing, amount in found.items()]
    return value, v.join(draw.rng, [f"{amount} x {thing}" for thing, amount in found.items()], 0)


def _object_schema(rng: random.Random, level: float, detail: str) -> tuple[Schema, str]:
    names = detail.split("/")
    properties: Schema = {name: {"type": "number"} for name in names}
    required: list[Json] = [*names]
    return {"type": "object", "properties": properties, "required": required}, ""


def _draw_object(draw: Draw, _form: str, detail: str) -> Given:
    drawn = {name: v.number(draw.rng, 0, 500) for name in detail.split("/")}
    said = v.join(draw.rng, [f"{name} {text}" for name, (_, text) in drawn.items()], 0)
    return {name: value for name, (value, _) in drawn.items()}, said


def _company(draw: Draw) -> str:
    stem = draw.rng.choice((draw.rng.choice(draw.words.surnames), v.made_word(draw.rng).title()))
    return f"{stem}{draw.rng.choice((' Inc', ' Ltd', ' Corp', ' Labs', ' Group', '', ''))}"


def _expression(draw: Draw, _form: str, _detail: str) -> Given:
    if chance(draw.rng, 0.2 * draw.level):
        return v.spoken_sum(draw.rng)
    text = v.expression(draw.rng)
    return text, text


def _puzzle(draw: Draw) -> Given:
    """Draw the numbers of a puzzle: four from 1 to 13 mostly."""
    rng = draw.rng
    count = 4 if draw.level < 0.3 or chance(rng, 0.85) else rng.randint(2, 6)
    numbers = [rng.randint(1, 13 if chance(rng, 0.93) else 50) for _ in range(count)]
    return [*numbers], v.join_numbers(rng, [str(number) for number in numbers], draw.level)


def _goal_schema(_rng: random.Random, _level: float, _detail: str) -> tuple[Schema, str]:
    return {"type": "integer", "default": 24}, ""


def _goal(draw: Draw, _form: str, _detail: str) -> Given:
    value = 24 if chance(draw.rng, 0.8) else draw.rng.randint(5, 120)
    return value, str(value)


def _solution(draw: Draw, _form: str, _detail: str) -> Given:
    rng = draw.rng
    a, b, c, d = (rng.randint(1, 13) for _ in range(4))
    one, two, three = (rng.choice("+-*/") for _ in range(3))
    text = rng.choice((f"({a} {one} {b}) {two} ({c} {three} {d})", f"{a} {one} ({b} {two} {c}) {three} {d}"))
    text = text.replace(" ", "") if chance(rng, 0.4) else text
    return text, text


def _symbol(draw: Draw) -> str:
    return "".join(draw.rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=draw.rng.randint(2, 5)))


def _letters(alphabet: str, low: int, high: int) -> Callable[[Draw], str]:
    return lambda draw: "".join(draw.rng.choices(alphabet, k=draw.rng.randint(low, high)))


def _phone(draw: Draw) -> str:
    first, second, third = draw.rng.randint(200, 999), draw.rng.randint(100, 999), draw.rng.randint(1000, 9999)
    return draw.rng.choice((f"+1 {first} {second} {third}", f"{first}-{second}-{third}", f"+49{first}{second}{third}"))


def _city(draw: Draw) -> str:
    city = draw.rng.choice(draw.words.cities) if chance(draw.rng, 0.9) else v.made_word(draw.rng).title()
    return f"{city}, {draw.rng.choice(draw.words.countries)}" if chance(draw.rng, 0.1 * draw.level) else city


def _word(draw: Draw) -> str:
    return v.made_word(draw.rng) if chance(draw.rng, 0.15) else draw.pick()


KINDS: dict[str, Kind] = {
    "num": Kind(_positive_schema, _draw_number),
    "signed": Kind(_number_schema, _draw_signed),
    "int": Kind(_integer_schema, _draw_integer),
    "money": Kind(_plain("number"), _draw_money),
    "pct": Kind(_percent_schema, _draw_percent),
    "year": Kind(
        _plain("integer"), lambda draw, _f, _d: (lambda year: (year, str(year)))(draw.rng.randint(1850, 2040))
    ),
    "id": Kind(_id_schema, _draw_id, ("The {w}.", "{W}", "Identifier: the {w}.", "{W} of the {np}.")),
    "city": _string(
        _city, ("in {v}", "for {v}", "in {v}"), "The {w}.", "Name of the {w}", "The {w}, e.g. a town's name."
    ),
    "country": _string(lambda d: d.rng.choice(d.words.countries), ("in {v}", "for {v}")),
    "person": _string(Draw.person, ("for {v}",), "The {w}.", "Full name: {w}", "{W}"),
    "first": _string(Draw.first_name, ("for {v}",)),
    "company": _string(_company, ("of {v}", "for {v}")),
    "word": _string(_word),
    "made": _string(lambda d: v.made_word(d.rng)),
    "thing": _string(lambda d: d.pick()),
    "color": _string(lambda d: d.rng.choice(_COLORS)),
    "text": Kind(_plain("string"), _quoted, ("The {w}.", "{W} as text", "Text of the {w}.", "{W}")),
    "code": Kind(_plain("string"), _draw_code),
    "path": _string(lambda d: v.file_path(d.rng), (), "The {w}.", "Path: {w}", "{W} (path)"),
    "url": _string(lambda d: v.web_address(d.rng), (), "The {w}.", "URL: {w}", "{W} (full URL)"),
    "email": _string(lambda d: v.mail_address(d.rng, d.person()), ("to {v}",), "The {w}.", "E-mail address: {w}"),
    "phone": _string(_phone),
    "ip": _string(lambda d: ".".join(str(d.rng.randrange(256)) for _ in range(4))),
    "hex": _string(lambda d: f"#{d.rng.getrandbits(24):06x}"),
    "dna": _string(_letters("ACGT", 6, 24)),
    "bits": _string(_letters("01", 3, 12)),
    "symbol": _string(_symbol, ("for {v}", "of {v}")),
    "date": Kind(_date_schema, _draw_date, natural=("on {v}",)),
    "time": Kind(_time_schema, _draw_time, natural=("at {v}",)),
    "currency": _coded(_CURRENCIES, "The {w} as a three-letter ISO code, e.g. USD."),
    "language": _coded(_LANGUAGES, "The {w} as a two-letter code, e.g. en."),
    "bool": Kind(_plain("boolean"), _draw_bool, ("Whether: {w}.", "{W}?", "True for {w}.", "{W} (true or false)")),
    "enum": Kind(_enum_schema, _draw_enum),
    "one": Kind(_plain("string"), _draw_one),
    "ints": _array("integer", lambda d: v.numbers(d.rng, d.level, whole=True)),
    "nums": _array("number", lambda d: v.numbers(d.rng, d.level, whole=False)),
    "words": _array("string", _several(_word)),
    "people": _array("string", _several(Draw.person)),
    "cities": _array("string", _several(lambda d: d.rng.choice(d.words.cities))),
    "items": Kind(_items_schema, _draw_items),
    "puzzle": _array("integer", _puzzle),
    "goal": Kind(_goal_schema, _goal),
    "sum": Kind(_plain("string"), _solution),
    "obj": Kind(_object_schema, _draw_object),
    "expr": Kind(_plain("string"), _expression),
}
