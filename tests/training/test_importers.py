"""Importers: every format's fields come back as they were, and what cannot be read is told and loses nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from boxwright.errors import BadInput, NotFound
from boxwright.models import Message, ToolCall, ToolDefinition, Usage
from boxwright.traces import TraceStore, Trajectory
from boxwright_training.importers import FORMATS, Imported, Sourced, read_trajectories

MOST_FAULTS = 0.005
STEPS = "Thought: I look it up.\nAction: search[moon]\nObservation: A moon.\nThought: Yes.\nAction: finish[moon]"
TOOL = {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {}}}


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def whole(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value, indent=1))
    return path


def only(path: Path, format: str = "auto") -> Trajectory:
    imported = read_trajectories([path], format)
    assert imported.faults == []
    (one,) = imported.found
    return one.trajectory


def roles(one: Trajectory) -> list[str]:
    return [message.role for message in one.messages]


def supervised(messages: Iterable[Message]) -> tuple[list[str], list[str]]:
    """The reasoning and the acts in what the model said."""
    reasons, acts = [], []
    for message in messages:
        if message.role == "assistant":
            at = 0
            for start, end in message.acts:
                reasons.append(message.content[at:start])
                acts.append(message.content[start:end])
                at = end
            reasons.append(message.content[at:])
    return [one for one in reasons if one], acts


def text_lines(texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in text.split("\n") if line.strip()]


# Real data, each read a second time in the simplest way there is.


def headed(text: str) -> dict[str, list[str]]:
    """The lines below each head, by the head's first letter; `Q` is what stands before the first."""
    found: dict[str, list[str]] = {"Q": [], "T": [], "A": [], "O": []}
    now = "Q"
    for line in text.split("\n"):
        if head := re.match(r"(Thought|ActionPath|Action|Observation)( \d+)?:", line):
            now = {"Thought": "T", "ActionPath": "T", "Action": "A", "Observation": "O"}[head[1]]
        if line.strip():
            found[now].append(line)
    return found


def enclosed(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"Q": [], "T": [], "A": [], "O": []}
    now = "Q"
    for line in text.split("\n"):
        if line.startswith(">"):
            now = "T" if line.lower().startswith(("> think:", "> actionpath:")) else "A"
        elif now != "Q":
            now = "O"
        if line.strip():
            found[now].append(line)
    return found


def assert_same_lines(one: Trajectory, expected: dict[str, list[str]]) -> None:
    reasons, acts = supervised(one.messages)
    seen = [message.content for message in one.messages[1:] if message.role == "user"]
    assert text_lines(reasons) == expected["T"]
    assert text_lines(acts) == expected["A"]
    assert text_lines([*seen, one.reason]) == expected["O"]
    assert text_lines([one.messages[0].content])[-len(expected["Q"]) :] == expected["Q"] or not expected["Q"]


def assert_same_text(one: Trajectory, text: str) -> None:
    said = "\n".join(message.content for message in one.messages[1:])
    assert text.rstrip().endswith("\n".join(filter(None, (said, one.reason))).rstrip())


def of_data(folder: Path, rows: int) -> Imported:
    imported = read_trajectories([folder])
    assert len(imported.faults) <= MOST_FAULTS * rows, imported.faults
    assert len(imported.found) + len(imported.faults) == rows
    return imported


def test_every_row_of_fireact_is_imported_line_by_line(shared_data: Path) -> None:
    rows = json.loads((shared_data / "fireact" / "multitask_multimethod.json").read_text())
    imported = of_data(shared_data / "fireact", len(rows))
    assert imported.by_format == {"fireact": len(rows)}
    for row, (one, _) in zip(rows, imported.found, strict=True):
        assert_same_lines(one, headed(row["output"]))
        assert_same_text(one, row["output"])
        assert one.prompt.startswith(row["instruction"])
        assert one.right is (re.findall(r"reward = (\w+)", row["output"])[-1] in ("1", "True"))
        assert (one.ended, one.answer) == ("answered", row["output"].split("finish[")[-1].rsplit("]", 1)[0].strip())


def test_every_prompt_of_react_is_imported_line_by_line(shared_data: Path) -> None:
    texts = [
        (f"{name}.json:{key}", text)
        for name in ("alfworld", "alfworld_3prompts")
        for key, text in json.loads((shared_data / "react_prompts" / f"{name}.json").read_text()).items()
    ]
    imported = of_data(shared_data / "react_prompts", len(texts))
    for (source, text), (one, found_at) in zip(texts, imported.found, strict=True):
        assert found_at.endswith(source)
        assert_same_lines(one, enclosed(text))
        assert_same_text(one, text)
        assert (one.answer, one.ended, one.right) == (None, "empty", None)


def test_every_row_of_knowagent_is_imported_line_by_line(shared_data: Path) -> None:
    folder = shared_data / "knowagent"
    rows = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
    imported = of_data(folder, len(rows))
    for row, (one, _) in zip(rows, imported.found, strict=True):
        if "traj" in row:
            assert_same_lines(one, enclosed(row["traj"]))
            assert_same_text(one, row["traj"])
            assert (one.task, one.right) == (row["name"], row["result"])
        else:
            text = row["prompt"][row["prompt"].rindex("\nQuestion: ") + 1 :]
            assert_same_lines(one, headed(text))
            assert_same_text(one, text)
            assert row["prompt"].startswith(one.messages[0].content)
            assert (one.prompt, one.answer, one.right) == (
                row["question"],
                text.split("Finish[")[-1].rsplit("]", 1)[0],
                row["correct"],
            )


def test_every_run_of_swe_agent_is_imported_field_by_field(shared_data: Path) -> None:
    paths = sorted((shared_data / "swe_agent_trajs").glob("*.traj"))
    imported = of_data(shared_data / "swe_agent_trajs", len(paths))
    for path, (one, _) in zip(paths, imported.found, strict=True):
        run = json.loads(path.read_text())
        said = [message for message in run["history"] if message["role"] == "assistant"]
        for message, source in zip((one for one in one.messages if one.role == "assistant"), said, strict=True):
            assert message.content == source["content"]
            if source.get("tool_calls"):
                written = [json.loads(call["function"]["arguments"]) for call in source["tool_calls"]]
                assert [call.arguments for call in message.tool_calls] == written
                continue
            reasons, (act,) = supervised([message])
            assert "".join(reasons).strip() == source["thought"].strip()
            assert re.sub(r"\A(```|<command>)|(```|</command>)\Z", "", act).strip() == source["action"].strip()
        seen = [message["content"] for message in run["history"] if message["role"] in ("user", "tool")]
        assert [message.content for message in one.messages if message.role in ("user", "tool")] == seen
        assert (one.ended, one.answer) == ("answered", run["info"]["submission"])
        if len(run["trajectory"]) == len(said):  # one demonstration's steps were edited by hand
            for content, step in zip(seen[1:], run["trajectory"], strict=False):
                assert step["observation"].strip() in content


# Each format by hand.


def test_our_own_store_is_read_with_the_definitions_its_lines_name(tmp_path: Path) -> None:
    definition = ToolDefinition.model_validate(TOOL)
    call = ToolCall(id="c", name="add", arguments={})
    messages = (Message(role="user", content="?"), Message(role="assistant", tool_calls=(call,)))
    store = TraceStore(tmp_path / "kept.jsonl")
    for answer in ("1", "2"):
        store.append(
            Trajectory(prompt="?", messages=messages, answer=answer, ended="answered", model="m", usage=Usage(),
                       definitions=(definition,))
        )  # fmt: skip
    imported = read_trajectories([store.path])
    assert [one.trajectory for one in imported.found] == store.read()
    assert [one.source for one in imported.found] == [f"{store.path}:2", f"{store.path}:3"]
    assert imported.by_format == {"boxwright": 2}


def test_a_bad_line_of_our_own_store_loses_no_other(tmp_path: Path) -> None:
    good = {"schema_version": 1, "prompt": "?", "messages": [], "answer": None, "ended": "steps", "model": "m"}
    path = lines(tmp_path / "kept.jsonl", good | {"usage": {}, "ended": "never"}, good | {"usage": {}})
    imported = read_trajectories([path])
    assert [one.source for one in imported.found] == [f"{path}:2"]
    (fault,) = imported.faults
    assert fault.startswith(f"{path}:1: ") and "ended" in fault


def test_an_openai_chat_is_read_with_its_calls_results_and_reasoning(tmp_path: Path) -> None:
    call = {"id": "x", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "1 + "}, {"type": "text", "text": "1?"}]},
        {"role": "assistant", "content": None, "reasoning_content": "I add.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "x", "content": "2"},
        {"role": "assistant", "content": "<think>So it is 2.</think>\n\nIt is 2."},
    ]
    tools = [{"type": "function", "function": TOOL}]
    one = only(lines(tmp_path / "chats.jsonl", {"id": 7, "messages": messages, "tools": tools, "model": "big"}))
    assert roles(one) == ["system", "user", "assistant", "tool", "assistant"]
    assert one.messages[2].tool_calls == (ToolCall(id="x", name="add", arguments={"a": 1}),)
    assert [message.thinking for message in one.messages if message.role == "assistant"] == ["I add.", "So it is 2."]
    assert (one.prompt, one.answer, one.ended) == ("1 + 1?", "It is 2.", "answered")
    assert (one.task, one.suite, one.model, one.tools) == ("7", "chats", "big", ("add",))
    assert (one.act_language, one.right, one.label) == ("tool-calls", None, "")


def test_log_probabilities_of_an_openai_chat_are_kept(tmp_path: Path) -> None:
    told = [{"token": "2", "bytes": [50], "logprob": -0.1, "top_logprobs": [{"token": "2", "logprob": -0.1}]}]
    asked = {"role": "user", "content": "1 + 1?"}
    for form in (told, {"content": told}, None):
        said = {"role": "assistant", "content": "2", "logprobs": form}
        one = only(lines(tmp_path / "chats.jsonl", {"messages": [asked, said]}))
        assert [token.likeliest for token in one.messages[-1].written] == ([(("2", -0.1),)] if form else [])


def test_function_calls_of_the_older_form_are_calls(tmp_path: Path) -> None:
    messages = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "", "function_call": {"name": "add", "arguments": {"a": 1}}},
        {"role": "function", "name": "add", "content": "2"},
        {"role": "assistant", "content": "", "function_call": {"name": "add", "arguments": "{"}},
        {"role": "function", "name": "add", "content": "no JSON"},
    ]
    one = only(whole(tmp_path / "chat.json", messages))
    first, second = (message.tool_calls[0] for message in one.messages if message.tool_calls)
    assert first.arguments == {"a": 1} and first.id != second.id
    assert second.fault and second.raw == "{"
    assert [message.tool_call_id for message in one.messages if message.role == "tool"] == [first.id, second.id]
    assert (one.answer, one.ended) == (None, "steps")


def test_results_that_share_an_id_across_turns_stay_with_their_calls(tmp_path: Path) -> None:
    turn = [
        {
            "role": "assistant",
            "tool_calls": [{"id": "0", "function": {"name": name, "arguments": "{}"}} for name in "a"],
        },
        {"role": "tool", "tool_call_id": "0", "content": "done"},
    ]
    one = only(whole(tmp_path / "chats.json", [{"messages": [{"role": "user", "content": "?"}, *turn, *turn]}]))
    calls = [call.id for message in one.messages for call in message.tool_calls]
    assert calls == [message.tool_call_id for message in one.messages if message.role == "tool"]
    assert len(set(calls)) == 2


def test_a_chat_that_writes_react_lines_has_acts_of_text(tmp_path: Path) -> None:
    first, seen, second = STEPS.partition("\nObservation: A moon.\n")
    turns = [("user", "What?"), ("assistant", first), ("user", seen.strip()), ("assistant", second)]
    one = only(lines(tmp_path / "c.jsonl", {"messages": [{"role": role, "content": text} for role, text in turns]}))
    assert supervised(one.messages)[1] == ["Action: search[moon]", "Action: finish[moon]"]
    assert (one.act_language, one.answer) == ("text", "moon")


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ({"role": "tool", "content": "2"}, "without its call"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}, "no text"),
        ({"role": "narrator", "content": "Once"}, "narrator"),
        ({"role": "assistant", "tool_calls": [{"id": "1"}]}, "function"),
        ({"role": "assistant", "content": "2", "logprobs": {"content": [{"t": 1}]}}, "not in OpenAI's form"),
    ],
)
def test_a_chat_that_cannot_be_read_is_a_fault_with_its_reason(
    tmp_path: Path, message: dict[str, Any], why: str
) -> None:
    good = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    path = lines(tmp_path / "c.jsonl", {"messages": [*good, message]}, {"messages": good})
    imported = read_trajectories([path])
    assert [one.source for one in imported.found] == [f"{path}:2"]
    (fault,) = imported.faults
    assert fault.startswith(f"{path}:1: ") and why in fault


def test_sharegpt_turns_of_calls_and_observations_are_calls_and_results(tmp_path: Path) -> None:
    turns = [
        {"from": "human", "value": "Add."},
        {"from": "gpt", "value": "I add."},
        {"from": "function_call", "value": json.dumps({"name": "add", "arguments": {"a": 1}})},
        {"from": "observation", "value": '{"sum": 2}'},
        {"from": "gpt", "value": "2"},
    ]
    one = only(whole(tmp_path / "s.json", [{"system": "S", "conversations": turns, "tools": json.dumps([TOOL])}]))
    assert roles(one) == ["system", "user", "assistant", "tool", "assistant"]
    assert (one.messages[2].content, one.messages[2].tool_calls[0].arguments) == ("I add.", {"a": 1})
    assert (one.messages[3].content, one.answer, one.tools) == ('{"sum": 2}', "2", ("add",))


def test_hermes_calls_and_responses_are_taken_from_between_their_tags(tmp_path: Path) -> None:
    call = "<tool_call>\n{'arguments': {'a': True}, 'name': '%s'}\n</tool_call>\n"
    response = "<tool_response>\n%s\n</tool_response>\n"
    turns = [
        {"from": "human", "value": "Add."},
        {"from": "gpt", "value": "Both.\n" + call % "add" + call % "sub"},
        {"from": "tool", "value": response % "2" + response % "0"},
        {"from": "gpt", "value": "Done."},
    ]
    one = only(lines(tmp_path / "h.jsonl", {"id": "a", "conversations": turns}))
    said = one.messages[1]
    assert (said.content, [call.name for call in said.tool_calls]) == ("Both.", ["add", "sub"])
    assert said.tool_calls[0].arguments == {"a": True}
    assert [(message.content, message.name) for message in one.messages[2:4]] == [("2", "add"), ("0", "sub")]


def test_a_hermes_call_that_is_not_closed_is_a_fault(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "Add."}, {"from": "gpt", "value": "<tool_call>\n{"}]
    with pytest.raises(BadInput, match="not closed"):
        read_trajectories([lines(tmp_path / "h.jsonl", {"conversations": turns})])


def test_the_options_before_the_first_thought_belong_to_the_question(tmp_path: Path) -> None:
    output = f"A. sun\nB. moon\n{STEPS}\nObservation: Episode finished, reward = 0\n"
    one = only(whole(tmp_path / "f.json", [{"instruction": "Which?", "input": "", "output": output}]))
    assert one.prompt == one.messages[0].content == "Which?\nA. sun\nB. moon"
    assert [message.content for message in one.messages[1:]] == [
        "Thought: I look it up.\nAction: search[moon]",
        "Observation: A moon.",
        "Thought: Yes.\nAction: finish[moon]",
    ]
    assert (one.answer, one.right, one.act_language) == ("moon", False, "text")
    assert one.calls == 2


def test_thoughts_over_lines_without_acts_or_behind_them_stay_in_their_place(tmp_path: Path) -> None:
    output = (
        "Thought: One.\n\nTwo.\nObservation: Seen.\nAction: a[\n1]\nThought: Three.\nAction: b[2]\nObservation: End"
    )
    one = only(lines(tmp_path / "f.jsonl", {"instruction": "Q", "output": output}))
    assert "\n".join(message.content for message in one.messages[1:]) == output
    reasons, acts = supervised(one.messages)
    assert acts == ["Action: a[\n1]", "Action: b[2]"]
    assert [one.strip() for one in reasons] == ["Thought: One.\n\nTwo.", "Thought: Three."]
    assert (one.answer, one.ended, one.right) == (None, "steps", None)


def test_an_action_path_is_part_of_the_act_only_right_before_it(tmp_path: Path) -> None:
    text = "Put it.\n> ActionPath: Start\n> Think: Go.\n> go to shelf 1\nNothing.\n> ActionPath: Start->Goto\n> take it\nOK."
    one = only(lines(tmp_path / "k.jsonl", {"name": "n", "result": False, "traj": text}))
    assert supervised(one.messages)[1] == ["> go to shelf 1", "> ActionPath: Start->Goto\n> take it"]
    assert (one.task, one.right, one.ended, one.calls) == ("n", False, "steps", 2)


def test_examples_before_the_last_question_are_part_of_its_message(tmp_path: Path) -> None:
    shots = f"Answer.\nQuestion: Old?\n{STEPS}\n\n"
    row = {"question": "New?", "prompt": f"{shots}Question: New?\n{STEPS}\nObservation 2: Answer is INCORRECT"}
    scored = {"answer": "moon", "correct": False, "halted": True, "error": False}
    one = only(lines(tmp_path / "k.jsonl", row | scored))
    assert one.messages[0].content == f"{shots}Question: New?"
    assert roles(one) == ["user", "assistant", "user", "assistant"]
    assert (one.prompt, one.right, one.ended) == ("New?", False, "steps")
    assert only(lines(tmp_path / "r.jsonl", {"text": row["prompt"]})).messages == one.messages


def test_a_completion_goes_on_behind_the_head_its_prompt_ended_in(tmp_path: Path) -> None:
    row = {
        "prompt": "Q\nThought: ",
        "completion": "I see.\nAction: look\nAction Input: up\nObservation: x\nFinal Answer: 4",
    }
    one = only(lines(tmp_path / "r.jsonl", row))
    assert [message.content for message in one.messages[:2]] == ["Q", "Thought: I see.\nAction: look\nAction Input: up"]
    assert supervised(one.messages)[1] == ["Action: look\nAction Input: up", "Final Answer: 4"]
    assert one.answer == "4"


def test_named_texts_are_found_by_name(tmp_path: Path) -> None:
    text = "A room.\nTask: look.\n> think: Where?\nOK.\n> look\nA lamp.\n"
    path = whole(tmp_path / "alf.json", {"react_0": text, "note": "nothing here"})
    imported = read_trajectories([path])
    ((one, source),) = imported.found
    assert (source, one.task, one.suite) == (f"{path}:react_0", "react_0", "alf")
    assert [message.acts for message in one.messages] == [(), (), (), ((0, 6),), ()]
    assert imported.faults == [f"{path}:note: of no format known here"]


def swe_run(*history: dict[str, Any], **info: str) -> dict[str, Any]:
    return {"environment": "swe_main", "trajectory": [], "history": list(history), "info": info}


def test_a_demonstration_in_an_swe_agent_run_is_part_of_the_question(tmp_path: Path) -> None:
    said = {"role": "assistant", "content": "I list.\n```\nls\n```", "thought": "I list.\n", "action": "ls\n"}
    run = swe_run(
        {"role": "system", "content": "S"},
        {"role": "user", "content": "Example.", "is_demo": True},
        said | {"is_demo": True},
        {"role": "user", "content": "Issue: ls fails."},
        said,
        exit_status="submitted (exit_cost)",
        submission="diff",
    )
    one = only(whole(tmp_path / "a.traj", run))
    assert roles(one) == ["system", "user", "assistant"]
    assert one.messages[1].content == "Example.\n\nI list.\n```\nls\n```\n\nIssue: ls fails."
    assert supervised(one.messages) == (["I list.\n"], ["```\nls\n```"])
    assert (one.prompt, one.ended, one.answer, one.note) == (
        "Issue: ls fails.", "tokens", "diff", "submitted (exit_cost)"
    )  # fmt: skip


def test_an_action_that_the_model_did_not_write_is_a_fault(tmp_path: Path) -> None:
    said = {"role": "assistant", "content": '{"command": "open"}', "thought": "", "action": "open x"}
    path = whole(tmp_path / "a.traj", swe_run({"role": "user", "content": "?"}, said))
    with pytest.raises(BadInput, match="'open x' does not stand"):
        read_trajectories([path])


def smol(number: int, **step: Any) -> dict[str, Any]:
    asked = [{"role": "system", "content": [{"type": "text", "text": "Write code."}]}]
    return {"step_number": number, "model_input_messages": asked, "tool_calls": [], "error": None, "code_action": None,
            "observations": None, "action_output": None, "is_final_answer": False, "model_output": None} | step  # fmt: skip


def test_the_steps_of_a_code_agent_are_code_as_our_agent_keeps_it(tmp_path: Path) -> None:
    error = {"type": "AgentParsingError", "message": "Error in code parsing:\nno code"}
    first, last = "Thought: Add.\n<code>\nx = 2\n</code>", "Thought: Done.\n<code>\nfinal_answer(x)\n</code>"
    steps = [
        {"task": "1 + 1?", "task_images": None},
        {"plan": "Plan:\n```\nadd\n```", "model_output_message": {"role": "assistant", "content": "add"}},
        smol(1, model_output=first, code_action="x = 2", observations="Execution logs:\n"),
        smol(2, model_output="oops", error=error),
        smol(
            3, model_output=last, code_action="final_answer(x)", action_output=2, is_final_answer=True, observations="2"
        ),
    ]
    one = only(whole(tmp_path / "memory.json", steps))
    assert roles(one) == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
        "assistant",
        "tool",
    ]
    assert [message.content for message in one.messages if message.role == "assistant"] == ["add", first, "oops", last]
    calls = [call for message in one.messages for call in message.tool_calls]
    assert [(call.name, call.arguments) for call in calls] == [
        ("python", {"code": "x = 2"}), ("python", {"code": "final_answer(x)"})
    ]  # fmt: skip
    assert one.messages[7].content == f"Error:\n{error['message']}"
    assert (one.act_language, one.prompt, one.answer, one.ended) == ("code", "1 + 1?", "2", "answered")


def test_the_steps_of_a_tool_calling_agent_keep_calls_that_failed(tmp_path: Path) -> None:
    def call(name: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}]

    unknown = {"type": "AgentToolExecutionError", "message": "Unknown tool nix"}
    bound = {"type": "AgentMaxStepsError", "message": "Reached max steps."}
    steps = [
        {"task": "1 + 1?"},
        smol(1, model_output="add", tool_calls=call("add", {"a": 1}), observations="2"),
        smol(2, model_output="", model_output_message={"tool_calls": call("nix", {})}, error=unknown),
        smol(3, error=bound, action_output="2"),
    ]
    one = only(lines(tmp_path / "memory.jsonl", {"output": "2", "state": "max_steps_error", "steps": steps}))
    assert roles(one) == ["system", "user", "assistant", "tool", "assistant", "tool"]
    assert [call.name for message in one.messages for call in message.tool_calls] == ["add", "nix"]
    assert one.messages[-1].content == "Error:\nUnknown tool nix"
    assert (one.act_language, one.answer, one.ended, one.note) == ("tool-calls", "2", "steps", "Reached max steps.")


def test_the_messages_of_a_code_agent_are_read_as_its_steps_are(tmp_path: Path) -> None:
    said = "Thought: Done.\n<code>\nfinal_answer(2)\n</code>"
    called = "Calling tools:\n[{'id': 'c', 'type': 'function', 'function': {'name': 'python_interpreter', 'arguments': 'final_answer(2)'}}]"
    result = "Observation:\nExecution logs:\nLast output from code snippet:\n2"
    turns = [("user", "New task:\n1 + 1?"), ("assistant", said), ("tool-call", called), ("tool-response", result)]
    one = only(whole(tmp_path / "m.json", [{"role": role, "content": [{"text": text}]} for role, text in turns]))
    plain = [{"role": role, "content": text} for role, text in turns if role != "tool-call"]
    plain[-1]["role"] = "user"
    for trajectory in (one, only(whole(tmp_path / "p.json", {"messages": plain}))):
        assert roles(trajectory) == ["user", "assistant", "tool"]
        assert trajectory.messages[1].tool_calls[0].arguments == {"code": "final_answer(2)"}
        assert (trajectory.prompt, trajectory.answer, trajectory.act_language) == ("1 + 1?", "2", "code")


# Files and folders.


def test_a_folder_of_several_formats_is_read_whole_and_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    (folder / "deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    lines(folder / ".hidden" / "x.jsonl", {"instruction": "Q", "output": STEPS})
    (folder / "LICENSE.txt").write_text("MIT")
    (folder / "README.md").write_text("Data.")
    (folder / "notes.txt").write_text("Nothing of use.\nReally.")
    (folder / "table.parquet").write_bytes(b"PAR1\xff\xfe")
    whole(folder / "other.json", [{"a": 1}, {"a": 2}])
    lines(folder / "a.jsonl", {"instruction": "Q", "output": STEPS}, {"question": "Q", "trajectory": STEPS})
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    lines(folder / "deep" / "b.jsonl", {"messages": chat})
    imported = read_trajectories([folder])
    assert [Path(one.source).name for one in imported.found] == ["a.jsonl:1", "a.jsonl:2", "b.jsonl:1"]
    assert imported.by_format == {"fireact": 1, "react": 1, "openai": 1}
    assert [fault.removeprefix(f"{folder}/") for fault in imported.faults] == [
        "notes.txt: neither JSON nor JSON lines",
        "other.json: no trajectories of a format known here",
        "table.parquet: no UTF-8 text; what is packed or no JSON has to be written as JSON lines first",
    ]


def test_a_torn_last_line_is_skipped_with_a_warning_and_others_are_faults(tmp_path: Path) -> None:
    row = json.dumps({"instruction": "Q", "output": STEPS})
    path = tmp_path / "torn.jsonl"
    path.write_text(f"{row}\n{row[:40]}\n{row}\n{row[:50]}")
    with pytest.warns(UserWarning, match=r"torn\.jsonl:4: skipped a torn line of 50 bytes"):
        imported = read_trajectories([path])
    assert [one.source for one in imported.found] == [f"{path}:1", f"{path}:3"]
    assert imported.faults[0].startswith(f"{path}:2: no JSON")


def test_half_a_surrogate_pair_in_the_source_becomes_text_that_can_be_kept(tmp_path: Path) -> None:
    path = tmp_path / "half.jsonl"
    path.write_text(json.dumps({"instruction": "Q \ud83d", "output": STEPS + " \ud83d\ude00"}))
    one = only(path)
    TraceStore(tmp_path / "kept.jsonl").append(one)
    assert one.prompt == "Q \ufffd"
    assert one.messages[-1].content.endswith("😀")


def test_a_named_format_is_taken_at_its_word(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", {"instruction": "Q", "output": STEPS}, {"messages": []})
    imported = read_trajectories([path], "react")
    assert imported.by_format == {"react": 1}
    assert len(imported.faults) == 1


def test_what_was_imported_is_read_again_from_our_own_store(tmp_path: Path) -> None:
    one = only(lines(tmp_path / "a.jsonl", {"instruction": "Q", "output": STEPS}))
    store = TraceStore(tmp_path / "kept.jsonl")
    store.append(one)
    assert read_trajectories([store.path]).found == [Sourced(one, f"{store.path}:1")]


def test_paths_and_formats_that_are_not_there_are_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("")
    with pytest.raises(NotFound, match=r"row\.jsonl'; did you mean '.*rows\.jsonl'"):
        read_trajectories([tmp_path / "row.jsonl"])
    with pytest.raises(NotFound, match="no format 'sharegtp'; did you mean 'sharegpt'"):
        read_trajectories([tmp_path], "sharegtp")
    with pytest.raises(BadInput, match="is empty; the formats are boxwright"):
        read_trajectories([tmp_path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no file to read in .*empty'"):
        read_trajectories([tmp_path / "empty"])
    assert "react" in FORMATS
