"""The training run: resume, step, record, evaluate, save, stop.

A run belongs to its work directory, whose name is the digest of all that its result depends on (train.run_identity). It
starts from the last whole checkpoint there, so any number of kills leads to the same bytes as none. The digest leaves
out how many data-parallel ranks share the work, and the engine's code but for the version of its numbers: a run may go
on with more or fewer ranks, or after an edit, and then gradients may be summed in another order, which changes the last
bits of a float32 (loss curves agree within 1e-5). The same bytes are promised for the same ranks and code.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from distillery import files, json_files
from distillery.checkpoint_names import iteration_name
from distillery.engine.batches import Batch, Rows, micro_batches
from distillery.engine.held_out import HeldOut
from distillery.engine.mixture import Course, Mixture, course
from distillery.engine.snapshots import Snapshots, State
from distillery.engine.stop_signals import StopSignals
from distillery.engine.train_progress import Display, Metrics, Silent, memory_megabytes
from distillery.engine.train_settings import Settings
from distillery.engine.train_start import Learnt, Start
from distillery.problems import Interrupted, Problem

MARKER = "diverged.json"


class Trainer(Protocol):
    """One rank's model, optimizer and compiled graphs: see `step.Step`."""

    def run(self, number: int, batches: list[Batch]) -> tuple[float, float]: ...
    def evaluate(self, batches: list[Batch]) -> float: ...
    def state(self) -> tuple[State, State]: ...
    def load(self, model: State, optimizer: State) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """`checkpoint` is the final iteration's directory, `state` its state.json, `loss` the last step's."""

    iteration: int
    checkpoint: Path
    state: dict[str, Any]
    loss: float
    best: dict[str, Any] | None


def train(
    build: Callable[[], Trainer],
    learnt: Learnt,
    settings: Settings,
    snapshots: Snapshots,
    start: Start,
) -> Outcome | None:
    """Train to the last step and return where the result lies (None on all ranks but the leader).

    Args:
        build: makes the trainer with its initial weights; called only if a step is left to do.
        settings: what the weights depend on, beside them and the rows.
        snapshots: of the run's work directory.

    Raises:
        Problem: the loss became NaN or infinite, now or in an earlier run of the same key.
        Interrupted: SIGTERM, SIGUSR1 or Ctrl-C came; the state is saved.
    """
    work, rows, mixture = snapshots.work, learnt.rows, learnt.mixture
    cadence, ranks, circumstances = start.cadence, start.ranks, start.circumstances
    if (work / MARKER).exists():
        raise _divergence(work, json_files.read(work / MARKER))
    done = snapshots.latest(lambda text: print(text, flush=True)) or 0
    way = course(rows, mixture, settings)
    best_loss = (snapshots.best() or {"loss": None})["loss"]
    held_out = HeldOut(
        rows, way.held_out, settings, cadence.evaluate, cadence.evaluate_steps, best_loss, mixture
    )
    batch = settings.global_batch_size
    metrics = Metrics(work / "metrics.jsonl", done) if ranks.leader else Silent()
    display = Display(settings.train_iters, done, cadence.log) if ranks.leader else Silent()
    display.say(_plan(rows, way, settings, done))
    for line in _shares(way, mixture):
        display.say(line)
    for change in circumstances.changes(snapshots.facts(done), done) if done else ():
        display.say(change)
    stopped = StopSignals()
    try:
        if done < settings.train_iters:
            trainer = build()
            if done:
                trainer.load(*snapshots.load(done))
        for step in range(done + 1, settings.train_iters + 1):
            began = time.perf_counter()
            chosen = way.sequence[(step - 1) * batch : step * batch]
            batches = micro_batches(rows, chosen, settings)
            loss, norm = trainer.run(step, batches)
            record = _record(step, loss, norm, batches, settings, time.perf_counter() - began, start.flops)
            if mixture:
                record["datasets"] = mixture.counts(chosen)
            metrics.add(record)
            if not math.isfinite(loss) or not math.isfinite(norm):
                raise _diverged(
                    work, step, loss, norm, [learnt.describe(int(one)) for one in chosen], ranks.leader
                )
            display.step(step, record)
            best = False
            if held_out.due(step):
                held_loss = held_out.loss(trainer.evaluate)
                metrics.add({"iteration": step, "evaluation_loss": held_loss})
                display.say(f"step {step}  evaluation loss {held_loss:.4f}")
                best = held_out.is_best(held_loss)
                if best and ranks.leader:
                    snapshots.mark_best(step, held_loss)
            last = step == settings.train_iters
            stop = ranks.agree(stopped.name is not None)
            if last or best or stop or (cadence.save and step % cadence.save == 0):
                facts = {
                    "consumed_samples": step * batch,
                    "key": work.name,
                    "loss": loss,
                    **vars(circumstances),
                }
                metrics.sync()
                snapshots.save(step, *trainer.state(), facts)
            if stop and not last:
                snapshots.wait()
                raise Interrupted(
                    f"stopped by {stopped.name or 'a signal to another rank'} after step {step} of {settings.train_iters}, state saved",
                    where=work / iteration_name(step),
                    fix="run the same command again: it continues there",
                )
        snapshots.wait()
    finally:
        stopped.restore()
        metrics.close()
    if not ranks.leader:
        return None
    checkpoint = work / iteration_name(settings.train_iters)
    state = snapshots.facts(settings.train_iters)
    return Outcome(settings.train_iters, checkpoint, state, state["loss"], snapshots.best())


def _record(
    step: int,
    loss: float,
    norm: float,
    batches: list[Batch],
    settings: Settings,
    seconds: float,
    flops: float | None,
) -> dict[str, Any]:
    tokens, supervised = sum(b.tokens for b in batches), sum(b.supervised for b in batches)
    record = {
        "iteration": step,
        "loss": loss,
        "lr": settings.schedule.at(step),
        "grad_norm": norm,
        "consumed_samples": step * settings.global_batch_size,
        "tokens": tokens,
        "supervised_tokens": supervised,
        "seconds": round(seconds, 4),
        "tokens_per_second": round(tokens / seconds, 1),
        "supervised_tokens_per_second": round(supervised / seconds, 1),
        "memory_megabytes": memory_megabytes(),
    }
    return record if flops is None else {**record, "tflops": flops / seconds / 1e12}


def _plan(rows: Rows, way: Course, settings: Settings, done: int) -> str:
    samples, count = len(way.sequence), sum(map(len, way.training))
    longer = sum(len(rows.input_ids[i]) > settings.seq_length for part in way.training for i in part)
    text = f"{samples} samples from {count} rows: {samples / count:.2f} epochs"
    if longer:
        text += f"; {longer} rows exceed --seq-length {settings.seq_length} and are cut, their ends are not learnt"
    return text + (f"; resuming after step {done}" if done else "")


def _shares(way: Course, mixture: Mixture | None) -> Iterator[str]:
    if mixture is None:
        return
    for (name, samples), part in zip(mixture.counts(way.sequence).items(), way.training, strict=True):
        yield f"  {name}: {samples} samples of {len(part)} rows: {samples / max(1, len(part)):.2f} epochs"


def _diverged(work: Path, step: int, loss: float, norm: float, rows: list[object], leader: bool) -> Problem:
    facts = {"iteration": step, "loss": repr(loss), "grad_norm": repr(norm), "rows": rows}
    if leader:
        files.write_json(work / MARKER, facts)
    return _divergence(work, facts)


def _divergence(work: Path, facts: dict[str, Any]) -> Problem:
    return Problem(
        f"training diverged at step {facts['iteration']}",
        where=f"rows {facts['rows']}",
        found=f"loss {facts['loss']}, gradient norm {facts['grad_norm']}",
        wanted="finite numbers",
        fix=f"lower --lr, lengthen the warm-up or mend these rows; remove {work / MARKER} to try the same again",
    )
