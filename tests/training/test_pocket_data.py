"""The pocket student's episodes: gold calls fit their schemas, every argument was said, and the splits share nothing."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator

from boxwright_student.agent import SYSTEM as AGENT_SYSTEM
from boxwright_training.pocket import game, lexicon, questions, talk, values
from boxwright_training.pocket.concepts import domain_split, domains
from boxwright_training.pocket.episodes import Episode, EpisodeKind, Evidence, Generator
from boxwright_training.pocket.lexicon import Lexicon, Split
from boxwright_training.pocket.results import answer
from boxwright_training.pocket.show import shown

WORDNET = Path("/usr/share/wordnet")
EPISODES = 2000
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Lexicon:
    if not (WORDNET / "data.noun").exists():
        pytest.skip("no WordNet database here: install wordnet-base")
    path = tmp_path_factory.mktemp("lexicon") / "lexicon.json"
    lexicon.main(["--wordnet", str(WORDNET), "--out", str(path)])
    return Lexicon.load(path)


@pytest.fixture(scope="module")
def generator(words: Lexicon) -> Generator:
    return Generator(words)


@pytest.fixture(scope="module")
def episodes(generator: Generator) -> list[Episode]:
    splits: tuple[Split, Split] = ("train", "test")
    levels = (0.0, 0.4, 1.0, 1.0)
    return [
        generator.episode(random.Random(f"7/{index}"), splits[index % 2], level=levels[index % 4])
        for index in range(EPISODES)
    ]


def calls(episode: Episode) -> Iterator[tuple[int, dict[str, Any]]]:
    for place, message in enumerate(episode.messages):
        for call in message.get("tool_calls", ()):
            yield place, call["function"]


def test_gold_calls_name_a_tool_that_is_shown_and_fit_its_schema(episodes: list[Episode]) -> None:
    for episode in episodes:
        schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in episode.tools}
        assert len(schemas) == len(episode.tools), shown(episode)
        for _, call in calls(episode):
            faults = list(Draft202012Validator(schemas[call["name"]]).iter_errors(call["arguments"]))
            assert not faults, (faults, shown(episode))


def test_schemas_of_tools_are_json_schemas(episodes: list[Episode]) -> None:
    for episode in episodes[::10]:
        for tool in episode.tools:
            Draft202012Validator.check_schema(tool["function"]["parameters"])


def test_every_gold_argument_was_said_before_its_call(episodes: list[Episode]) -> None:
    for episode in episodes:
        proofs = iter(episode.evidence)
        for place, call in calls(episode):
            heard = " ".join(message["content"] for message in episode.messages[:place] if message["role"] != "system")
            for argument in call["arguments"]:
                proof = next(proofs)
                assert (proof.tool, proof.argument) == (call["name"], argument)
                assert proof.said and proof.said.lower() in heard.lower(), (proof, shown(episode))
        assert next(proofs, None) is None


def test_every_gold_argument_follows_from_how_it_was_said(episodes: list[Episode]) -> None:
    for episode in episodes:
        properties = {
            (tool["function"]["name"], name): schema
            for tool in episode.tools
            for name, schema in tool["function"]["parameters"]["properties"].items()
        }
        proofs = iter(episode.evidence)
        for _, call in calls(episode):
            for argument, value in call["arguments"].items():
                proof = next(proofs)
                schema = properties[call["name"], argument]
                assert follows(value, proof, schema), (value, proof, schema, shown(episode))


def follows(value: Any, proof: Evidence, schema: dict[str, Any]) -> bool:
    """Read the value out of the words once more, by other means than those that made it."""
    said = proof.said.strip("\"'`")
    if isinstance(value, bool):
        return True  # each boolean slot names its own two phrases; that they were said is checked above
    if isinstance(value, int | float):
        return any(abs(float(value) - number) < 1e-9 for number in readings(said))
    if isinstance(value, list):
        return all(str(part) in said.replace("\\", "") for item in value for part in parts(item))
    if isinstance(value, dict):
        return all(str(part) in said for part in parts(value))
    mapped = (
        "enum" in schema or "format" in schema or re.search(r"YYYY|HH:MM|ISO|code|'", schema.get("description", ""))
    )
    return value == said or value == said.removeprefix("the ") or spoken(value, said) or bool(mapped)


def parts(item: Any) -> list[Any]:
    return list(item.values()) if isinstance(item, dict) else [item]


def readings(said: str) -> set[float]:
    text = re.sub(r"(?<=\d),(?=\d{3})", "", said).replace("minus ", "-")
    found = {float(number) for number in NUMBER.findall(text)}
    found |= {round(number / 100, 5) for number in found if "%" in said or "percent" in said}
    tens = [number for scale in (1, 1000) for number in range(0, 1000 * scale, scale)]
    return found | {float(number) for number in tens if f"{said} ".startswith(f"{values.number_words(number)} ")}


def spoken(value: str, said: str) -> bool:
    """Say whether an expression was said in words: `7 times 8`."""
    return NUMBER.findall(value) == NUMBER.findall(said) and any(
        word in said for word in ("plus", "minus", "times", "by")
    )


def test_test_episodes_use_no_word_domain_or_wording_of_train_ones(words: Lexicon) -> None:
    for name in ("nouns", "attributes", "verbs", "adjectives"):
        train = {word for sense in getattr(words.train, name) for word in sense.words}
        test = {word for sense in getattr(words.test, name) for word in sense.words}
        assert test and not train & test, name
    for name in ("cities", "countries", "first_names", "surnames"):
        assert getattr(words.test, name) and not set(getattr(words.train, name)) & set(getattr(words.test, name))
    for field in ("ask", "tell", "context"):
        train, test = (set(getattr(questions.WRAPPERS[split], field)) for split in get_args(Split))
        assert all(len(wording) < 4 for wording in train & test), train & test
    kept = {name: domain_split(name) for name in domains()}
    assert 10 <= list(kept.values()).count("test") < list(kept.values()).count("train")


def test_no_wording_of_a_test_domain_stands_in_a_train_domain() -> None:
    train, test = (wordings_of(split) for split in get_args(Split))
    assert len(test) > 50
    assert not train & test


def wordings_of(split: Split) -> set[tuple[str, str]]:
    concepts = [concept for name, found in domains().items() if domain_split(name) == split for concept in found]
    return {wording for concept in concepts for wording in concept.wordings}


def test_the_same_seed_draws_the_same_episode(generator: Generator, words: Lexicon) -> None:
    again = Generator(words)
    for index in range(50):
        one, two = (made.episode(random.Random(f"3/{index}"), "train") for made in (generator, again))
        assert json.dumps([one.tools, one.messages]) == json.dumps([two.tools, two.messages])


@pytest.mark.parametrize("kind", get_args(EpisodeKind))
@pytest.mark.parametrize("count", [1, 4, 16])
def test_kinds_and_numbers_of_tools_are_as_asked(generator: Generator, kind: EpisodeKind, count: int) -> None:
    pair = kind in ("parallel", "chain")
    for index in range(20):
        episode = generator.episode(random.Random(f"{kind}/{index}"), "test", tools=count, kind=kind)
        assert episode.kind == kind
        assert len(episode.tools) == count or (pair and len(episode.tools) == 2 and count == 1), shown(episode)


def test_abstentions_call_nothing_and_share_their_stem(generator: Generator) -> None:
    for index in range(100):
        episode = generator.episode(random.Random(index), "train", kind="abstain")
        assert not list(calls(episode))
        assert episode.messages[-1]["content"].startswith(talk.ABSTAIN_STEM)


def test_a_missing_argument_is_asked_for_by_name(generator: Generator) -> None:
    for index in range(50):
        episode = generator.episode(random.Random(index), "train", kind="clarify")
        first = next(message for message in episode.messages if message["role"] == "assistant")
        assert re.fullmatch(r"Which .+\?", first["content"]), shown(episode)


def test_level_zero_is_short_and_plain(generator: Generator) -> None:
    for index in range(100):
        episode = generator.episode(random.Random(index), "train", level=0.0)
        assert episode.kind in ("call", "abstain")
        assert len(episode.tools) <= 2


def test_the_system_message_of_our_agent_is_among_those_drawn(generator: Generator) -> None:
    assert talk.SYSTEM == AGENT_SYSTEM
    drawn = [generator.episode(random.Random(index), "train").messages[0] for index in range(60)]
    assert any(message == {"role": "system", "content": AGENT_SYSTEM} for message in drawn)


def test_game_of_24_is_asked_in_many_wordings_and_its_results_are_true(generator: Generator) -> None:
    texts = set()
    for index in range(4000):
        episode = generator.episode(random.Random(f"24/{index}"), "train", kind="call")
        for _, call in calls(episode):
            if call["name"] == "game_of_24__solve":
                assert all(isinstance(number, int) for number in call["arguments"]["numbers"])
                asked = next(message for message in episode.messages if message["role"] == "user")
                texts.add(re.sub(r"[\d, ]+", "N", asked["content"]))
    assert len(texts) > 10


@pytest.mark.parametrize(("numbers", "target"), [((3, 3, 8, 8), 24), ((4, 9, 10, 13), 24), ((2, 3), 6), ((5,), 5)])
def test_puzzles_are_solved_truly(numbers: tuple[int, ...], target: int) -> None:
    found = game.solve(numbers, target)
    assert found is not None
    assert abs(eval(found) - target) < 1e-9
    assert sorted(map(int, re.findall(r"\d+", found))) == sorted(numbers)


def test_an_unsolvable_puzzle_has_no_solution() -> None:
    assert game.solve((1, 1, 1, 1), 24) is None


@pytest.mark.parametrize(
    ("question", "content", "alone", "expected"),
    [
        ("What is it?", "12.50", True, "12.50"),
        ("What is it?", '{"area": 5.0}', False, "The answer is 5.0."),
        ("What is the price?", '{"price": 3, "unit": "EUR"}', True, "3"),
        ("Send it.", '{"status": "ok", "id": "a7"}', False, "status: ok, id: a7."),
        ("Is it?", "true", True, "Yes"),
        ("Which?", '["a", "b"]', True, "a, b"),
        ("How much?", '{"exact": "7/2", "decimal": 3.5}', True, "3.5"),
        ("How much?", '{"exact": "7", "decimal": 7.0}', True, "7"),
        ("Make it", "(4 - 10) * (9 - 13)", True, "(4 - 10) * (9 - 13)"),
        (
            "Make it",
            "Error: 24 cannot be made from [1, 5]",
            True,
            "It could not be done: 24 cannot be made from [1, 5]",
        ),
    ],
)
def test_answers_are_read_off_results_by_rule(question: str, content: str, alone: bool, expected: str) -> None:
    assert answer(question, content, alone) == expected


def test_a_file_that_is_no_lexicon_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"format": 99}')
    with pytest.raises(ValueError, match=r"other\.json.*no lexicon of format 1"):
        Lexicon.load(path)
