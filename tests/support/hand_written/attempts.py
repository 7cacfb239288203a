"""The attempts a person wrote in a teacher's place: for each build task, what is said and run, turn by turn.

`run` names one of the two programs beside this file, with the task's numbers put in; the outputs below were read
off the screen and the answers written down from them, as a model would.
"""

ATTEMPTS: dict[str, list[dict[str, str]]] = {
    "game24-1-2-2-4": [
        {"say": "I search all ways to combine the numbers, in fractions.", "run": "search"},
        {"say": "((1 + 2) * (2 * 4))"},
    ],
    "game24-2-3-7-7": [
        {"say": "I search all ways to combine the numbers, in fractions.", "run": "search"},
        {"say": "((2 * 7) + (3 + 7))"},
    ],
    "game24-2-6-7-8": [
        {"say": "I try every order, every operation and every way to set brackets.", "run": "forms"},
        {"say": "((2-6)+7)*8"},
    ],
    "game24-2-8-9-10": [
        {"say": "I search all ways to combine the numbers, in fractions.", "run": "search"},
        {"say": "(8 * (10 + (2 - 9)))"},
    ],
    "game24-4-7-11-13": [
        {"say": "First a quick try.", "code": "print(solve([4, 7, 11, 13]))"},
        {"say": "There is no `solve` yet; I write the search.", "run": "search"},
        {"say": "((4 * 11) - (7 + 13))"},
    ],
    "game24-3-4-4-5": [
        {"say": "3 * 4 = 12, and 12 + 4 + 5 = 21; close. 3 * 5 + 4 + 4 = 23. I take (3 * 5) + 4 + 4."},
    ],
    "game24-3-3-5-10": [
        {"say": "I search all ways to combine the numbers, in fractions.", "run": "search"},
        {"say": "((3 * 3) + (5 + 10))"},
    ],
    "game24-1-3-6-11": [
        {"say": "Six times four is 24. (11 - 6 - 1) is 4, but 3 is left; (11 + 1) * 6 / 3 = 24.\n\n(11 + 1) * 6 / 3"},
    ],
    "game24-1-3-8-9": [
        {"say": "I search all ways to combine the numbers, in fractions.", "run": "search"},
        {"say": "((8 * 9) / (1 * 3))"},
    ],
    "game24-3-3-4-13": [
        {"say": "I try every order, every operation and every way to set brackets.", "run": "forms"},
        {"say": "(3*(13-4))-3"},
    ],
}
