"""Tiny models with random weights and tokenizers made on the spot, in folders that transformers reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CHATML = """{%- if tools %}<|im_start|>system
{% if messages[0].role == 'system' %}{{ messages[0].content }}

{% endif %}# Tools
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% elif messages[0].role == 'system' %}<|im_start|>system
{{ messages[0].content }}<|im_end|>
{% endif %}
{%- set ns = namespace(last=-1) %}
{%- for message in messages %}{% if message.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}
{%- for message in messages %}
{%- if message.role == 'user' %}<|im_start|>user
{{ message.content }}<|im_end|>
{% elif message.role == 'tool' %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% elif message.role == 'assistant' %}<|im_start|>assistant
{% if message.reasoning_content and loop.index0 > ns.last %}<think>
{{ message.reasoning_content | trim }}
</think>

{% endif %}{{ message.content }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""As Qwen3's: thinking of turns before the last question is left out."""
LLAMA3 = """{{- bos_token }}
{%- for message in messages %}
{%- if message.role == 'tool' %}<|start_header_id|>ipython<|end_header_id|>

{{ message.content | trim }}<|eot_id|>
{%- elif message.tool_calls %}<|start_header_id|>assistant<|end_header_id|>

{"name": "{{ message.tool_calls[0].function.name }}", "parameters": {{ message.tool_calls[0].function.arguments | tojson }}}<|eot_id|>
{%- else %}<|start_header_id|>{{ message.role }}<|end_header_id|>

{{ message.content | trim }}<|eot_id|>
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>

{% endif %}"""
"""As Llama 3.1's: the text beside a call is left out, and a call has no mark of its own."""
MISTRAL = """{{- bos_token }}
{%- for message in messages %}
{%- if message.role == 'user' %}[INST] {{ message.content }}[/INST]
{%- elif message.role == 'tool' %}[TOOL_RESULTS] {"content": {{ message.content | tojson }}, "call_id": "{{ message.tool_call_id }}"}[/TOOL_RESULTS]
{%- elif message.tool_calls %}
{%- if message.content %} {{ message.content }}{% endif %}[TOOL_CALLS] [
{%- for call in message.tool_calls %}
{%- if call.id | length != 9 %}{{ raise_exception("ids have 9 letters") }}{% endif %}
{{- {"name": call.function.name, "arguments": call.function.arguments, "id": call.id} | tojson }}
{%- if not loop.last %}, {% endif %}
{%- endfor %}]</s>
{%- elif message.role == 'assistant' %} {{ message.content }}</s>
{%- endif %}
{%- endfor %}"""
"""As Mistral's: there is no prompt for a turn, and ids have nine letters."""
TOKENS = {
    CHATML: (("<|endoftext|>", "<|im_start|>", "<|im_end|>"), ("<think>", "</think>", "<tool_call>", "</tool_call>")),
    LLAMA3: (("<|begin_of_text|>", "<|start_header_id|>", "<|eot_id|>", "<|end_header_id|>"), ()),
    MISTRAL: (("<s>", "[INST]", "</s>", "[/INST]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"), ()),
}
"""The special tokens, of which the first begins a text and the third ends a turn, and those that are only never cut."""
TEXTS = (
    "You solve tasks. When a tool computes something, call it and use its result as it is.",
    'Use 4, 9, 10 and 13 with + - * / to make 24. {"name": "solve", "arguments": {"numbers": [4, 9, 10, 13]}}',
    "Thought: I look for the answer.\nAction: search[the answer]\nObservation: here it is\nThought: it is here.",
)


def tiny_tokenizer(template: str = CHATML, texts: tuple[str, ...] = TEXTS, size: int = 400) -> Any:
    """Return a byte-level BPE that knows a template's tokens and learned the rest from the texts."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special, marks = TOKENS[template]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in marks])
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=special[0], eos_token=special[2])
    made.chat_template = template
    return made


def tiny_student(
    folder: Path, tokenizer: Any, *, seed: int = 0, width: int = 32, layers: int = 2, positions: int = 2048
) -> Path:
    """Write a Llama of random weights and its tokenizer; the same seed gives the same weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=positions,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tool_trajectories(count: int, path: Path) -> Path:
    """Write trajectories with a thought, a call and an answer, as a store of ours keeps them."""
    from boxwright.models import Message, ToolCall, ToolDefinition, Usage
    from boxwright.traces import TraceStore, Trajectory

    schema = {"type": "object", "properties": {"numbers": {"type": "array", "items": {"type": "integer"}}}}
    tool = ToolDefinition(name="solve", description="Make 24.", parameters=json.loads(json.dumps(schema)))
    store = TraceStore(path)
    for number in range(count):
        given = [number % 7 + 1, number % 5 + 2, number % 3 + 3]
        store.append(
            Trajectory(
                task=f"task-{number}",
                prompt=f"Question {'abcdefghij'[number % 10]}: use {given}",
                messages=(
                    Message(role="system", content="You solve tasks."),
                    Message(role="user", content=f"Question {'abcdefghij'[number % 10]}: use {given}"),
                    Message(
                        role="assistant",
                        content=f"The numbers are {given}.",
                        tool_calls=(ToolCall(id="c", name="solve", arguments={"numbers": list(given)}),),
                    ),
                    Message(role="tool", content=str(sum(given)), tool_call_id="c", name="solve"),
                    Message(role="assistant", content=str(sum(given))),
                ),
                answer=str(sum(given)),
                ended="answered",
                right=True,
                model="oracle/sum",
                definitions=(tool,),
                tools=("solve",),
                usage=Usage(),
            )
        )
    return path
