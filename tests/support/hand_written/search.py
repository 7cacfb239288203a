from fractions import Fraction

def search(terms):
    if len(terms) == 1:
        value, text = terms[0]
        return text if value == 24 else None
    for i in range(len(terms)):
        for j in range(len(terms)):
            if i == j:
                continue
            rest = [terms[k] for k in range(len(terms)) if k != i and k != j]
            (a, x), (b, y) = terms[i], terms[j]
            options = [(a + b, f"({x} + {y})"), (a - b, f"({x} - {y})"), (a * b, f"({x} * {y})")]
            if b != 0:
                options.append((a / b, f"({x} / {y})"))
            for option in options:
                found = search(rest + [option])
                if found:
                    return found
    return None

numbers = [NUMBERS]
print(search([(Fraction(n), str(n)) for n in numbers]))
