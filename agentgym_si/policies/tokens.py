"""Chat histories as token ids: what was sampled is never tokenised again as long as it stands."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agentgym_si.errors import BadInput, MissingDependency
from agentgym_si.policies.base import History
from agentgym_si.types import Message

# Read once, when huggingface_hub is first imported: a run reports nothing to anyone.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

Rewriting = Literal["split", "append", "refuse"]
"""What is done where a chat template rewrites what was said once more follows: render the chat
anew, as the model was trained to read it; go on appending ids; or take no such checkpoint."""

_ANSWER = "an answer to mark the place"
_THOUGHTS = ("an answer", "<think>\na thought\n</think>\n\nan answer", "a thought</think>an answer")
"""Answers that templates in use rewrite."""


class ChatTokens:
    """A tokenizer with its chat template.

    An episode's ids only grow: the prompt, the sampled ids, what the template puts between an
    answer and the next one, the sampled ids … The token that ends an answer belongs to the answer.
    Only where the template rewrites what was said, as those do that strip reasoning, is a prompt
    rendered anew, and the step a training row of its own; `rewriting` says otherwise.

    Args:
        tokenizer: with a chat template.
        name: what the checkpoint is called in errors.
        stops: ids that end an answer beside the template's own and the tokenizer's `eos_token`.
        rewriting: what is done where the template is found to rewrite.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str = "",
        stops: Collection[int] = (),
        rewriting: Rewriting = "split",
    ) -> None:
        """Find how the template ends an answer; raises BadInput where there is none."""
        self.tokenizer = tokenizer
        self.name = name or str(tokenizer.name_or_path)
        if not tokenizer.chat_template:
            raise BadInput(
                f"expected a checkpoint with a chat template, got {self.name} without one; "
                "an instruction-tuned checkpoint has one"
            )
        marks = [token for token in tokenizer.all_special_tokens if len(token) > 1]
        self._forgeries = re.compile("|".join(map(re.escape, marks))) if marks else None
        ending = self._encode(self._after_answer([]))
        stops = {*stops, *([] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id])}
        place = next((index for index, token in enumerate(ending) if token in stops), 0)
        self.end = ending[: place + 1]
        """Ids that end an answer; the last of them is the stop token."""
        if not self.end:
            raise BadInput(f"the chat template of {self.name} marks no end of an answer")
        self.stops = frozenset({*stops, self.end[-1]})
        """Ids at which sampling stops."""
        self.rewrites = self._find_rewriting()
        """Which message the template rewrites, in a sentence; "" where none is found."""
        if self.rewrites and rewriting == "refuse":
            raise BadInput(f"expected a template that keeps what was said: {self.rewrites}")
        self._splits = bool(self.rewrites) and rewriting == "split"
        if self._splits:
            logger.warning("%s: such a step becomes a training row of its own", self.rewrites)

    @classmethod
    def load(
        cls, path: str | Path, *, stops: Collection[int] = (), rewriting: Rewriting = "split"
    ) -> ChatTokens:
        """Read the tokenizer of a checkpoint folder or hub name; raises BadInput."""
        try:
            from transformers import AutoTokenizer
        except ImportError as error:
            raise MissingDependency(
                "tokenizers need transformers: pip install 'agentgym-si[train]'"
            ) from error
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                str(path), local_files_only=Path(path).is_dir()
            )
        except (OSError, ValueError) as error:
            raise BadInput(f"expected a checkpoint with a tokenizer at {path}: {error}") from error
        return cls(tokenizer, name=str(path), stops=stops, rewriting=rewriting)

    def prompt(self, history: History) -> tuple[int, ...]:
        """Return the (P,) ids after which the history's next answer is sampled."""
        if history.actions and history.actions[-1].token_ids:
            last = history.actions[-1]
            suffix = self.suffix(history.observation, last.token_ids)
            grown = last.prompt_ids + last.token_ids + suffix
            if not self._splits or self._decode(grown) == self._chat_text(history):
                return grown
        return self.chat(history.messages(), history.tools)

    def _chat_text(self, history: History) -> str:
        return self.render(history.messages(), history.tools, answer_next=True)

    def chat(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
    ) -> tuple[int, ...]:
        """Return the (P,) ids of a chat, after which the assistant answers."""
        return self._encode(self.render(messages, tools, answer_next=True))

    def answer(self, text: str) -> tuple[int, ...]:
        """Return the ids of an answer given as text, the end included."""
        return self._encode(text) + self.end

    def suffix(self, observation: str, sampled: Sequence[int] = ()) -> tuple[int, ...]:
        """Return the ids between an answer and the next one.

        Where `sampled` stopped at the length limit, the end it lacks is part of the suffix.
        """
        ids = self._encode(self._after_answer([{"role": "user", "content": observation}]))
        ended = bool(sampled) and sampled[-1] == self.end[-1]
        return ids[len(self.end) :] if ended else ids

    def text(self, token_ids: Sequence[int]) -> str:
        """Return the text of sampled ids without the stop token."""
        if token_ids and token_ids[-1] in self.stops:
            token_ids = token_ids[:-1]
        return self._decode(token_ids)

    def _decode(self, token_ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(token_ids), clean_up_tokenization_spaces=False))

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        answer_next: bool = False,
    ) -> str:
        """Return the chat as the template writes it; raises BadInput where it refuses."""
        from jinja2 import TemplateError

        try:
            text = self.tokenizer.apply_chat_template(
                [self._defused(message) for message in messages],
                tools=[dict(tool) for tool in tools] or None,
                add_generation_prompt=answer_next,
                tokenize=False,
            )
        except TemplateError as error:
            raise BadInput(f"the chat template of {self.name} refused the chat: {error}") from error
        return str(text)

    def broken_prefix(self, messages: Sequence[Message]) -> str:
        """Say which message the template rewrites once more follow; "" where it rewrites none."""
        shorter = ""
        for count in range(1, len(messages) + 1):
            text = self.render(messages[:count])
            if not text.startswith(shorter):
                broken = next(
                    index
                    for index in range(count - 1)
                    if not text.startswith(self.render(messages[: index + 1]))
                )
                return (
                    f"the chat template of {self.name} is not prefix-preserving: it rewrites "
                    f"message {broken} ({messages[broken]['role']}) once message {count - 1} "
                    f"({messages[count - 1]['role']}) follows"
                )
            shorter = text
        return ""

    def _find_rewriting(self) -> str:
        asked: list[Message] = [{"role": "user", "content": "a question"}]
        before = self.render(asked, answer_next=True)
        for thought in _THOUGHTS:
            said: Message = {"role": "assistant", "content": thought}
            after = self.render(
                [*asked, said, {"role": "user", "content": "more"}], answer_next=True
            )
            if not after.startswith(before + thought):
                return (
                    f"the chat template of {self.name} rewrites message 1 (assistant), "
                    f"{thought!r}, once message 2 (user) follows"
                )
        return ""

    def _after_answer(self, more: Sequence[Message]) -> str:
        asked: list[Message] = [
            {"role": "user", "content": "a question"},
            {"role": "assistant", "content": _ANSWER},
        ]
        text = self.render([*asked, *more], answer_next=bool(more))
        if _ANSWER not in text:
            raise BadInput(f"the chat template of {self.name} drops the assistant's answer")
        return text[text.index(_ANSWER) + len(_ANSWER) :]

    def _defused(self, message: Message) -> dict[str, str]:
        # A page or a tool result that spells out "<|end|>" must not be able to forge a turn.
        role, content = message["role"], message["content"]
        if role != "assistant" and self._forgeries is not None:
            content = self._forgeries.sub(lambda found: f"{found[0][0]} {found[0][1:]}", content)
        return {"role": role, "content": content}

    def _encode(self, text: str) -> tuple[int, ...]:
        # Not verbose: whoever asks checks the length.
        return tuple(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
