from itertools import permutations, product

forms = ["(({}{}{}){}{}){}{}", "({}{}({}{}{})){}{}", "({}{}{}){}({}{}{})", "{}{}(({}{}{}){}{})", "{}{}({}{}({}{}{}))"]

def first(numbers):
    for a, b, c, d in permutations(numbers):
        for p, q, r in product("+-*/", repeat=3):
            for form in forms:
                text = form.format(a, p, b, q, c, r, d)
                try:
                    if abs(eval(text) - 24) < 1e-9:
                        return text
                except ZeroDivisionError:
                    pass

print(first([NUMBERS]))
