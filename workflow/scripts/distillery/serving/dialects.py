"""The words in which each server is asked the same: how it names what OpenAI's interface has no word for.

vLLM: https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html (extra parameters); SGLang: its sampling
parameters; transformers: `generation_config` of transformers/cli/serving/utils.py. A server of no known kind gets OpenAI's
own words alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distillery.generate.tasks import GREEDY, SAMPLE, Task
from distillery.problems import Problem, UsageProblem

OPENAI, VLLM, SGLANG, TRANSFORMERS = "openai", "vllm", "sglang", "transformers"
TASKS = (GREEDY, SAMPLE)
PATHS = {"completions": "/v1/completions", "chat": "/v1/chat/completions"}
MOST_STOPS = 4  # texts that OpenAI's interface takes


@dataclass(frozen=True)
class Manner:
    """How one server is asked, the same for all questions.

    Args:
        kind: of the server, one of the four above.
        model: its name there.
        endpoint: of PATHS.
        stop_ids, stop_words: what ends an answer; no ids where only the server knows them.
        stop_texts: of the ids, for a server that takes texts only.
        instruction: added to the last message of a conversation, for a server whose template is its own.
    """

    kind: str
    model: str
    endpoint: str
    task: Task
    max_tokens: int
    stop_ids: tuple[int, ...]
    stop_words: tuple[str, ...]
    stop_texts: tuple[str, ...]
    instruction: str = ""

    def __post_init__(self) -> None:
        check_task(self.task.name)
        settings = self.task.settings()
        if self.kind == OPENAI and settings.get("top_k"):
            raise Problem(
                "a server of no known kind takes no top_k: it would draw from more tokens than asked",
                where="generate.top_k; servers.<name>.engine",
                found=int(settings["top_k"]),
                wanted="0, or a server whose engine is known",
                fix="set top_k: 0, or say what the server is: engine: vllm (MindIE takes vLLM's words), or sglang",
            )
        if self.kind == OPENAI and len(self._stops) > MOST_STOPS:
            raise Problem(
                "more ends of answers than a server of no known kind takes",
                where="generate.stop_words; servers.<name>.engine",
                found=", ".join(map(repr, self._stops)),
                wanted=f"at most {MOST_STOPS}",
                fix="leave some out, or say what the server is: engine: vllm",
            )

    @property
    def path(self) -> str:
        return PATHS[self.endpoint]

    @property
    def takes_ids(self) -> bool:
        """Whether a prompt is asked as its ids; else as its text."""
        return self.kind != TRANSFORMERS

    @property
    def _stops(self) -> tuple[str, ...]:
        return self.stop_words + (self.stop_texts if self.kind == OPENAI else ())

    def sampling(self) -> dict[str, Any]:
        """What decides which tokens are taken, in this server's words, the seed aside."""
        drawn = self.task.settings() if self.task.draws else {}
        temperature, top_p = (drawn["temperature"], drawn["top_p"]) if drawn else (0.0, 1.0)
        top_k = int(drawn.get("top_k", 0))
        found: dict[str, Any] = {"max_tokens": self.max_tokens}
        if self.kind == TRANSFORMERS:
            # whole, for what it leaves out is the model's own
            chosen = {"do_sample": bool(drawn), "max_new_tokens": self.max_tokens}
            if self.stop_ids:  # else the server's own
                chosen |= {"eos_token_id": list(self.stop_ids), "pad_token_id": self.stop_ids[0]}
            if drawn:
                chosen |= {"temperature": temperature, "top_p": top_p, "top_k": top_k}
            found["generation_config"] = json.dumps(chosen, sort_keys=True)
        else:
            found |= {"temperature": temperature, "top_p": top_p}
        if self.kind in (VLLM, SGLANG):
            # said, for servers take what is not said from the model's generation_config.json
            found |= {"top_k": top_k or -1, "min_p": 0.0, "repetition_penalty": 1.0}
            found |= {"stop_token_ids": list(self.stop_ids), "skip_special_tokens": True}
        if self.kind == VLLM:
            found["return_token_ids"] = True
        if self._stops:
            found["stop"] = list(self._stops)
        return found

    def question(self, messages: Sequence[Any], ids: Sequence[int], text: str, seed: int) -> bytes:
        """The body of a request.

        Args:
            messages: of the conversation, for the chat endpoint.
            ids, text: of the rendered prompt.
        """
        body = {"model": self.model, "seed": seed, "stream": False, **self.sampling()}
        if self.endpoint == "chat":
            body["messages"] = [{"role": one["role"], "content": one["content"]} for one in messages]
            if self.instruction:
                body["messages"][-1]["content"] += f"\n{self.instruction}"
        else:
            body["prompt"] = list(ids) if self.takes_ids else text
        return json.dumps(body, ensure_ascii=False).encode()


def check_task(name: str | None) -> None:
    """Raise a UsageProblem for a task that no server is asked for."""
    if name not in TASKS:
        raise UsageProblem(
            "servers answer greedily or draw; they are asked for no other task",
            where="--task",
            found=name,
            wanted=", ".join(TASKS),
            fix="set generate.task, or let the built-in engine answer",
        )
