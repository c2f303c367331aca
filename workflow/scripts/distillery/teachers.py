"""The teachers that datasets name: who answers which problems, and what that may cost.

    teacher = of(config, "taught")
    teacher.name                       # 'teacher-new-problems-3f2a91c0', a folder below results/teachers
    teacher.generation.settings        # what each problem is asked with

Teachers that agree in all that decides their answers share them, whatever is kept of those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from distillery import task_settings
from distillery.experiment import Config, Experiment, Generation
from distillery.provenance import digest
from distillery.servers import Server

KIND = "teacher"
BUDGETS = ("max_requests", "max_tokens")
GRADING = ("keep", "thoughts", "pass_rate")  # settings that change no answer


@dataclass(frozen=True)
class Teacher:
    """Who writes a dataset's answers: tuned weights, a server, or a server with those weights.

    Attributes:
        settings: of the dataset's source.
    """

    settings: Mapping[str, Any]
    experiment: Experiment | None
    server: Server | None

    @property
    def who(self) -> str:
        """The experiment's name; without one the server's."""
        return self.settings.get("experiment") or self.settings["server"]

    @property
    def problems(self) -> str:
        """The problem set that is asked."""
        return self.settings["problems"]

    @property
    def parts(self) -> int:
        """Into how many its problems are shared out: one for each shard."""
        return self.settings["shards"]

    @property
    def generation(self) -> Generation:
        """How each problem is asked: as the experiment's own problems are, but for the settings of the source."""
        drawn = self.settings["temperature"] > 0
        asked: dict[str, Any] = {
            "task": "do_sample" if drawn else "greedy",
            "num_samples": self.settings["samples"],
            "seed": self.settings["seed"],
        }
        if drawn:
            asked |= {
                "temperature": self.settings["temperature"],
                "top_k": 0,
                "top_p": self.settings["top_p"],
            }
        if "max_new_tokens" in self.settings:
            asked["max_new_tokens"] = self.settings["max_new_tokens"]
        if self.experiment is None:
            # its template and its tokenizer are the server's own
            server = self.server and replace(self.server, endpoint="chat")
            asked["instruction"] = self.settings["instruction"]
            return Generation(self.problems, None, None, "CPU", 1, 1, 1, asked, server)
        own = self.experiment.tuned_generation
        left = (*task_settings.DRAWN, *task_settings.SEARCHED)
        kept = {key: value for key, value in own.settings.items() if key not in left}
        return replace(own, problems=self.problems, settings=kept | asked, server=self.server)

    @property
    def most(self) -> int | None:
        """Problems that the budget lets be asked; None where there is none."""
        samples = self.settings["samples"]
        each = {"max_requests": samples, "max_tokens": samples * self.generation.settings["max_new_tokens"]}
        bounds = [self.settings[key] // size for key, size in each.items() if key in self.settings]
        return min(bounds, default=None)

    @property
    def name(self) -> str:
        """The folder's: of all that decides what is asked, and in how many parts."""
        deciding = [self.generation.name, self.most, self.parts]
        return f"{self.who}-{self.problems}-{digest(deciding)[:8]}"


def of(config: Config, dataset: str) -> Teacher | None:
    """The teacher of a dataset; None where it has another source."""
    source = config.datasets[dataset].source
    if source.kind != KIND:
        return None
    experiment, server = source.settings.get("experiment"), source.settings.get("server")
    return Teacher(
        source.settings,
        config.experiments[experiment] if experiment else None,
        config.servers[server] if server else None,
    )


def all_of(config: Config) -> dict[str, Teacher]:
    """The teachers of all datasets whose experiments are selected, or need none, by the datasets' names."""
    found = {}
    for name, dataset in config.datasets.items():
        experiment = dataset.source.settings.get("experiment")
        if dataset.source.kind == KIND and (experiment is None or experiment in config.experiments):
            found[name] = of(config, name)
    return found


def faults(filled: Mapping[str, Any]) -> Iterator[str]:
    """A line for each teacher that cannot be asked as it is written; names that are not there are told elsewhere."""
    for name, dataset in filled["datasets"].items():
        if KIND in dataset["source"]:
            key = f"datasets.{name}.source.{KIND}"
            yield from (f"{key}{fault}" for fault in _faults(filled, dataset["source"][KIND]))


def _faults(filled: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[str]:
    samples, server = said["samples"], filled["servers"].get(said.get("server"), {})
    if "experiment" not in said and "server" not in said:
        yield ": experiment or server missing, one of them is required, or both"
    elif "experiment" not in said and "python" in server:
        yield ".server: a server that the job starts has no weights; name the experiment that they are of"
    if "experiment" not in said and "max_new_tokens" not in said:
        yield ".max_new_tokens: missing, and no experiment is named whose own could be taken"
    if said["temperature"] == 0 and samples > 1:
        yield f".samples: found {samples}, wanted 1 at temperature 0: all would be the same"
    bounds = said["pass_rate"]
    if bounds["at_least"] > bounds["at_most"]:
        yield f".pass_rate: found at_least {bounds['at_least']} above at_most {bounds['at_most']}, no problem is both"
    if said.get("max_requests", samples) < samples:
        yield f".max_requests: found {said['max_requests']}, wanted at least the {samples} samples of a problem"
    own = filled["experiments"].get(said.get("experiment"), {}).get("generate", {})
    each = samples * said.get("max_new_tokens", own.get("max_new_tokens", 1))
    if said.get("max_tokens", each) < each:
        yield f".max_tokens: found {said['max_tokens']}, wanted at least {each}, the samples of a problem"
