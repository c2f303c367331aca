"""Answers: lengths, sampling, and tasks that a batch can run."""

from __future__ import annotations

from collections.abc import Iterator

from distillery.planning.checks.machine_checks import servers_of
from distillery.planning.experiment_setup import Setup
from distillery.planning.finding import Finding, error, warning
from distillery.serving import api_key, dialects
from distillery.task_settings import DRAWN, SEARCHED, unread

QUESTION = 128  # tokens: "how are you?" in any of its templates takes fewer


def length(s: Setup) -> Iterator[Finding]:
    """The context holds the prompt and the answer."""
    kinds = [
        (kind, name, one, asked.tuned)
        for name, asked in s.experiment.asked.items()
        for kind, one in (("generate", asked.tuned), ("generate.base", asked.base))
    ]
    for kind, name, one, tuned in kinds:
        new = one.settings["max_new_tokens"]
        if new >= one.seq_length and (kind == "generate" or one != tuned):
            own = s.key(f"{kind}.seq_length")
            length_key = own if kind == "generate.base" else s.stage_key("generate", "seq_length")
            yield error(
                "answer-length",
                [s.set_key(name, "max_new_tokens", kind), length_key],
                f"{new} new tokens in a context of {one.seq_length}",
                f"at most {one.seq_length - 1}, less the prompt",
                "ask for fewer, or for a longer context",
            )


def answer_budget(s: Setup) -> Iterator[Finding]:
    """A model that learns long reasoning needs room to finish it: cut inside <think> counts as wrong."""
    mean = s.dataset.source.settings.get("tokens_per_row")
    for name, asked in s.experiment.asked.items():
        new = asked.tuned.settings["max_new_tokens"]
        if not mean or new >= mean / 2:
            continue
        yield warning(
            "answer-budget",
            [s.set_key(name, "max_new_tokens"), f"{s.dataset_key}.source"],
            f"{new} new tokens, where training rows have {mean:g} on average",
            f"at least {int(mean)}",
            "ask for more, or most answers end inside <think>",
        )


def tokens_to_oom(s: Setup) -> Iterator[Finding]:
    """MindSpeed-LLM refuses a question with its answer beyond this number of tokens, after loading the weights.

    It asks one built-in question, and makes room for the new tokens alone, however long the context is. The default is
    that of Megatron's parser, which serves its inference.py: the 4096 in its module never hold.
    """
    if s.experiment.generate.engine != "mindspeed-llm":
        return
    limit = s.generate["max_tokens_to_oom"]
    new = s.generate["max_new_tokens"]
    needed = new + QUESTION
    if needed > limit:
        yield error(
            "tokens-to-oom",
            [s.key("generate.max_tokens_to_oom"), s.key("generate.max_new_tokens")],
            f"{limit} for a question and {new} new tokens",
            f"at least {needed}",
            f"set max_tokens_to_oom to {needed}",
        )


def _idle(s: Setup, keys: tuple[str, ...]) -> list[str]:
    """Which of these settings are written down, and not read by the task."""
    task = s.generate["task"]
    left = unread(task) if task else []
    paths = [key for key in keys if key in left] + [
        f"sets.{name}.{key}" for name in s.experiment.asked for key in keys if key in left
    ]
    return [path for path in paths if s.says(f"generate.{path}")]


def beams(s: Setup) -> Iterator[Finding]:
    """Beam search keeps at least two candidates, and answers with as many at most."""
    g = s.generate
    for name, asked in s.experiment.asked.items():
        answers = asked.tuned.settings["num_samples"]
        if str(g["task"]).startswith("beam_search") and answers > g["num_beams"]:
            keys = (s.set_key(name, "num_samples"), s.key("generate.num_beams"))
            found, cure = f"{answers} answers of {g['num_beams']} beams", "ask for fewer, or for more beams"
            yield error("beam-answers", keys, found, "at most one for each beam", cure)
    if idle := _idle(s, SEARCHED):
        keys = s.keys(*(f"generate.{key}" for key in idle), "generate.task")
        found, cure = f"{', '.join(idle)} with task {g['task']}", f"leave {' and '.join(idle)} out"
        yield warning("beams-unused", keys, found, "a beam search", cure)


def sampling(s: Setup) -> Iterator[Finding]:
    """A task that draws nothing knows no temperature; greedy answers are the same however often one asks."""
    task = s.generate["task"]
    if idle := _idle(s, DRAWN):
        keys = s.keys(*(f"generate.{key}" for key in idle), "generate.task")
        found, cure = f"{', '.join(idle)} with task {task}", "choose do_sample, or leave them out"
        yield warning("greedy-sampling", keys, found, "task do_sample", cure)
    for name, asked in s.experiment.asked.items():
        samples = asked.tuned.settings["num_samples"]
        if task != "greedy" or samples == 1:
            continue
        keys, found = (s.set_key(name, "num_samples"), s.key("generate.task")), f"{samples} equal answers"
        yield warning("greedy-samples", keys, found, "1, or task do_sample", "choose do_sample")


def task(s: Setup) -> Iterator[Finding]:
    """A batch has no terminal to chat at."""
    if s.generate["task"] is None:
        yield error(
            "no-task",
            s.keys("generate.task"),
            "no choice: the reference then runs all five tasks, the last of which waits for someone to type",
            "greedy, do_sample, beam_search or beam_search_with_sampling",
            "choose one",
        )
    elif s.generate["task"] == "chat":
        yield error(
            "chat-task",
            s.keys("generate.task"),
            "chat, which waits for someone to type",
            "a task for a batch",
            "choose greedy or do_sample here; chat runs from the command line",
        )


def rendering(s: Setup) -> Iterator[Finding]:
    """Prompts are rendered by one template."""
    if s.generate["hf_chat_template"] and "prompt_type" in s.experiment.settings["generate"]:
        yield error(
            "two-templates",
            s.keys("generate.hf_chat_template", "generate.prompt_type"),
            "both",
            "one of them",
            "leave one out",
        )


def kv_cache(s: Setup) -> Iterator[Finding]:
    """Without a cache each new token computes all earlier ones again; the built-in engine always keeps one.

    MindSpeed-LLM's refuses sequence parallelism, which its derived line never has.
    """
    if s.experiment.generate.engine == "mindspeed-llm" and not s.generate["use_kv_cache"]:
        yield warning(
            "no-kv-cache",
            s.keys("generate.use_kv_cache", "generate.max_new_tokens"),
            f"no cache for {s.generate['max_new_tokens']} tokens: the work grows with their square",
            "true",
            "set use_kv_cache: true",
        )


def served_task(s: Setup) -> Iterator[Finding]:
    """Servers draw, or take the likeliest token: nothing else."""
    chosen = s.generate["task"]
    if s.experiment.tuned_generation.server and chosen not in (*dialects.TASKS, None, "chat"):
        yield error(
            "served-task",
            s.keys("generate.task", "generate.engine"),
            f"{chosen}, by a server",
            " or ".join(dialects.TASKS),
            "choose one of them, or let the built-in engine answer",
        )


def served_top_k(s: Setup) -> Iterator[Finding]:
    """OpenAI's interface has no top_k."""
    server, found = s.experiment.tuned_generation.server, s.generate
    if server and server.engine == dialects.OPENAI and found["task"] == "do_sample" and found["top_k"]:
        yield error(
            "served-top-k",
            [s.key("generate.top_k"), f"servers.{server.name}.engine"],
            f"{found['top_k']}, of which OpenAI's interface knows nothing",
            "0",
            "set top_k: 0, or say what the server is, if it knows more",
        )


def served_base(s: Setup) -> Iterator[Finding]:
    """Engines differ in their last bits, and now and then in a token: what is compared should come from one."""
    tuned, original = s.experiment.tuned_generation.server, s.experiment.base_generation.server
    if tuned and not original:
        yield warning(
            "served-base",
            [s.key("generate.engine"), f"servers.{tuned.name}"],
            "tuned answers from a server, those of the original weights from the built-in engine",
            "one engine for both",
            "name the original weights on that server: base_model",
        )


def server_key(s: Setup) -> Iterator[Finding]:
    """A key goes through networks encrypted, or stays on this machine."""
    for server in servers_of(s):
        if not (server.url and server.api_key_env and api_key.exposed(server.url)):
            continue
        yield warning(
            "server-key",
            [f"servers.{server.name}.url", f"servers.{server.name}.api_key_env"],
            "a key that is sent without encryption",
            "https, or an address of this machine",
            "give an https address",
        )


PLACES = ("host", "repo", "revision", "urls", "path", "package", "files")  # what of a source says which files


def held_out(s: Setup) -> Iterator[Finding]:
    """Rows that are asked are not learnt: where problems are rows of the dataset's own files, both hold out the same."""
    settings = s.dataset.source.settings
    learnt = s.dataset.hold_out or settings.get("hold_out")
    for name, problems in s.problems.items():
        asked, own = problems.how.get("hold_out"), problems.source.settings
        rows_of_its_own = "files" in own and all(own.get(key) == settings.get(key) for key in PLACES)
        if rows_of_its_own and not (asked and asked == learnt):
            yield warning(
                "learnt-problems",
                [f"problem_sets.{name}.hold_out", f"{s.dataset_key}.hold_out"],
                f"problems of the dataset's own files: {asked or 'all rows'} asked, {learnt or 'nothing'} held out",
                "one hold_out in both",
                "write the same hold_out in both, or accept this: some problems are learnt",
            )


CHECKS = (
    length,
    held_out,
    answer_budget,
    tokens_to_oom,
    beams,
    sampling,
    task,
    rendering,
    kv_cache,
    served_task,
    served_top_k,
    served_base,
    server_key,
)
