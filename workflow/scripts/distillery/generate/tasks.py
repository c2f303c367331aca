"""The reference's five tasks, and what each makes of its settings."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distillery import schema
from distillery.problems import UsageProblem
from distillery.task_settings import DRAWN, READS, SEARCHED, unread

if TYPE_CHECKING:
    from distillery.engine.generation import Request, Search, Stopping

TASKS = tuple(READS)
GREEDY, SAMPLE, BEAM, BEAM_SAMPLE, CHAT = TASKS
# names in the reference's documents that its own code rejects, after loading the weights
DOCUMENTED = {
    "greedy_search": GREEDY,
    "greedy_search_with_sampling": SAMPLE,
    "beam-search": BEAM,
    "sample": SAMPLE,
    "do-sample": SAMPLE,
}
# the reference's
DEFAULTS = {key: schema.default(f"experiments.*.generate.{key}") for key in (*DRAWN, *SEARCHED)}


def name(text: str) -> str:
    """The type of --task: one of TASKS.

    Raises:
        argparse.ArgumentTypeError: any other name; those of the reference's documents are explained.
    """
    if text in TASKS:
        return text
    if text in DOCUMENTED:
        raise argparse.ArgumentTypeError(
            f"{text!r} is a name of the reference's documents, which its code does not know; "
            f"write {DOCUMENTED[text]}"
        )
    raise argparse.ArgumentTypeError(f"{text!r} is no task; choose one of {', '.join(TASKS)}")


@dataclass(frozen=True)
class Task:
    """A task with its settings.

    Raises:
        UsageProblem: no task, or settings out of range.
    """

    name: str | None
    num_samples: int = 1
    temperature: float = DEFAULTS["temperature"]
    top_k: int = DEFAULTS["top_k"]
    top_p: float = DEFAULTS["top_p"]
    num_beams: int = DEFAULTS["num_beams"]
    length_penalty: float = DEFAULTS["length_penalty"]

    def __post_init__(self) -> None:
        if self.name is None:
            raise UsageProblem(
                "no task was chosen",
                where="--task",
                wanted=", ".join(TASKS),
                fix="add --task greedy (the reference runs all five one after the other, and the last "
                "waits for someone at a terminal)",
            )
        if self.num_samples < 1 or (self.name == GREEDY and self.num_samples > 1):
            raise UsageProblem(
                "greedy answers of one prompt are all the same"
                if self.num_samples > 1
                else "no answer is wanted",
                where="--num-samples",
                found=self.num_samples,
                wanted="1" if self.name == GREEDY else "at least 1",
                fix="use --task do_sample for several answers a prompt" if self.num_samples > 1 else None,
            )

    @property
    def draws(self) -> bool:
        return DRAWN[0] in READS[self.name]

    @property
    def searches(self) -> bool:
        return SEARCHED[0] in READS[self.name]

    def settings(self) -> dict[str, float]:
        """What decides the answers: the settings that this task reads."""
        return {key: getattr(self, key) for key in ("num_samples", *READS[self.name])}

    def ignored(self) -> list[str]:
        """Flags that ask for something which this task does not read."""
        idle = [key for key in unread(self.name) if getattr(self, key) != DEFAULTS[key]]
        return ["--" + key.replace("_", "-") for key in idle]

    @property
    def width(self) -> int:
        """Sequences that one search keeps alive."""
        return int(self.settings().get("num_beams", 1))

    @property
    def requests_per_prompt(self) -> int:
        """A beam search returns its samples at once, drawing asks for them one by one."""
        return 1 if self.searches else self.num_samples

    @property
    def answers_per_request(self) -> int:
        return self.num_samples if self.searches else 1

    def begin(self, stopping: Stopping) -> Callable[[Request], Search]:
        """The searches of this task."""
        from distillery.engine.beam import Beams, BeamSearch
        from distillery.engine.generation import Sampled
        from distillery.engine.token_sampling import Sampling

        chosen = self.settings()
        sampling = None
        if self.draws:
            sampling = Sampling(chosen["temperature"], int(chosen["top_k"]), chosen["top_p"])
        if not self.searches:
            return lambda request: Sampled(request, stopping, sampling)
        beams = Beams(self.width, self.num_samples, chosen["length_penalty"])
        return lambda request: BeamSearch(request, stopping, beams, sampling)


def seed_of(seed: int, prompt_id: str, sample: int) -> int:
    """The seed of one answer: 53 bits, so that every JSON reader keeps it whole.

    It depends on the command's seed, the prompt's id and the sample's number, not on the other prompts or their order.
    """
    digest = hashlib.sha256(f"{seed}/{sample}/{prompt_id}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 11
