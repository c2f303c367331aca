"""Sampling against transformers' warpers, and draws against their probabilities."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
from engine_oracle import model
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy import Lazy

from distillery.engine import token_sampling
from distillery.engine.beam import Beams, BeamSearch
from distillery.engine.generation import Request, Stopping
from distillery.engine.token_sampling import Sampling
from distillery.problems import UsageProblem

stats = Lazy("scipy.stats")
torch = Lazy("torch")
transformers = Lazy("transformers")

pytestmark = pytest.mark.slow


def warped(logits: np.ndarray, chosen: Sampling, least: int) -> np.ndarray:
    """Scores after transformers' warpers, in the order its generate() applies them; -inf where cut."""
    scores = torch.tensor(logits)[None]
    if chosen.temperature != 1:
        scores = transformers.TemperatureLogitsWarper(chosen.temperature)(None, scores)
    if chosen.top_k:
        scores = transformers.TopKLogitsWarper(chosen.top_k, min_tokens_to_keep=least)(None, scores)
    if chosen.top_p < 1:
        scores = transformers.TopPLogitsWarper(chosen.top_p, min_tokens_to_keep=least)(None, scores)
    return scores[0].numpy()


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(2, 200),
    temperature=st.sampled_from([0.3, 0.6, 1.0, 1.7]),
    top_k=st.sampled_from([0, 1, 2, 5, 50, 500]),
    top_p=st.sampled_from([1.0, 0.95, 0.5, 0.01]),
    least=st.integers(1, 2),
    levels=st.sampled_from([4, 1000]),
)
def test_the_filters_keep_what_transformers_keeps(seed, size, temperature, top_k, top_p, least, levels):
    # few levels make ties, which top-k must keep together; many make none
    random = np.random.RandomState(seed)
    drawn = random.randint(0, levels, size) if levels < 1000 else random.permutation(levels)[:size]
    logits = (drawn * (8 / levels)).astype(np.float32)
    if top_p < 1 and levels < 1000:
        logits += np.arange(size, dtype=np.float32) * 1e-3  # which of equals top-p cuts is undefined in torch
    chosen = Sampling(temperature, top_k, top_p)
    wanted = warped(logits, chosen, least)
    ids, scores = token_sampling.kept(logits, chosen, least)
    assert ids.tolist() == np.flatnonzero(np.isfinite(wanted)).tolist()
    np.testing.assert_array_equal(scores, wanted[ids])


@pytest.mark.parametrize("chosen", [Sampling(), Sampling(0.7, 5, 0.9), Sampling(1.5, 0, 0.8)])
def test_draws_follow_the_filtered_probabilities(chosen):
    logits = np.random.RandomState(3).randn(12).astype(np.float32) * 1.5
    wanted = torch.softmax(torch.tensor(warped(logits, chosen, 1)).double(), -1).numpy()
    count = 20000
    drawn = [token_sampling.draw(logits, chosen, token_sampling.generator(seed)) for seed in range(count)]
    seen = np.bincount(drawn, minlength=12)
    possible = wanted > 0
    assert not seen[~possible].any()
    assert stats.chisquare(seen[possible], wanted[possible] * count).pvalue > 1e-3


def test_distinct_draws_are_multinomial_without_replacement():
    scores = np.log([0.5, 0.3, 0.15, 0.05])
    random = token_sampling.generator(0)
    count = 20000
    pairs = np.zeros((4, 4))
    for _ in range(count):
        pairs[tuple(token_sampling.draw_distinct(scores, 2, random))] += 1
    p = np.exp(scores)
    wanted = p[:, None] * p[None] / (1 - p[:, None]) * count
    off = ~np.eye(4, dtype=bool)
    assert not pairs[~off].any()
    assert stats.chisquare(pairs[off], wanted[off]).pvalue > 1e-3


def test_sampled_beams_are_distributed_as_those_of_transformers():
    """Answers of at most two tokens on a vocabulary of six, one of them the stop id."""
    made, prompt, stop, count = model("qwen2", vocab_size=6), (2, 4, 3), 1, 6000
    chosen, beams = Sampling(1.3, 5), Beams(2, 1, 0.5)
    torch.manual_seed(0)
    rows = made.generate(
        torch.tensor([prompt] * count),
        attention_mask=torch.ones((count, len(prompt)), dtype=torch.long),
        max_new_tokens=2,
        do_sample=True,
        temperature=chosen.temperature,
        top_k=chosen.top_k,
        top_p=1.0,
        num_beams=beams.num_beams,
        length_penalty=beams.length_penalty,
        early_stopping=False,
        eos_token_id=stop,
        pad_token_id=stop,
    )[:, len(prompt) :].tolist()
    theirs = Counter(tuple(row[:1] if row[0] == stop else row) for row in rows)

    @cache
    def scores(tokens: tuple[int, ...]) -> np.ndarray:
        with torch.no_grad():
            return made(torch.tensor([prompt + tokens])).logits[0, -1].numpy()

    ours: Counter[tuple[int, ...]] = Counter()
    for seed in range(count):
        search = BeamSearch(Request(0, prompt, seed), Stopping(2, frozenset([stop])), beams, chosen)
        while search.advance(np.stack([scores(beam.tokens) for beam in search.live])):
            pass
        ours[search.answers()[-1].tokens] += 1
    table = np.array([[one[answer] for answer in sorted({*ours, *theirs})] for one in (ours, theirs)])
    rare = table.sum(0) < 20
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(1)])
    assert table.shape[1] > 5
    assert stats.chi2_contingency(table[:, table.sum(0) > 0]).pvalue > 1e-3


def test_one_seed_is_one_stream():
    logits = np.random.RandomState(0).randn(50).astype(np.float32)
    first, again, other = (
        [token_sampling.draw(logits, Sampling(), random) for _ in range(20)]
        for random in (token_sampling.generator(7), token_sampling.generator(7), token_sampling.generator(8))
    )
    assert first == again != other


@pytest.mark.parametrize(
    "flag, values",
    [("--temperature", (0.0, 0, 1.0)), ("--top-k", (1.0, -1, 1.0)), ("--top-p", (1.0, 0, 0.0))],
)
def test_settings_that_cannot_be_sampled_are_refused(flag, values):
    with pytest.raises(UsageProblem, match=flag):
        Sampling(*values)
