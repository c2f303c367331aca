"""Greedy and beam answers against transformers.generate, and their independence of company."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from engine_oracle import SMALL, mcore, model
from lazy import Lazy

from distillery import model_config
from distillery.engine import runner_choice
from distillery.engine.beam import Beams, BeamSearch
from distillery.engine.cache import CHUNK
from distillery.engine.generation import Request, Sampled, Stopping, generate
from distillery.engine.token_sampling import Sampling
from distillery.problems import Problem, UsageProblem

torch = Lazy("torch")

pytestmark = pytest.mark.mindspore

EOS, NEW, FEW = 15, 32, 12  # an id that both models utter now and then
LENGTHS = (1, 5, 17, 3, CHUNK, CHUNK + 1, 2 * CHUNK, 30, 9, 2)


@pytest.fixture(scope="module", params=["qwen2 composed", "qwen2 native", "llama native bf16"])
def pair(request):
    """(transformers model, runner with 4 slots on the same weights)."""
    family, kernels, *rounded = request.param.split()
    made = model(family, max_position_embeddings=256, tie_word_embeddings=family == "llama")
    for weight in made.parameters() if rounded else ():
        weight.data = weight.data.bfloat16().float()
    arch = model_config.from_config(made.config.to_dict())
    cached = runner_choice.build(arch, mcore(made), 4, max(LENGTHS) + NEW, kernels=kernels)
    if kernels == "native":
        assert cached.table.dtype == (ms.uint16 if rounded else ms.float32), "bf16 weights are kept as such"
    return made, cached


def requests(count: int = len(LENGTHS)) -> list[Request]:
    random = np.random.RandomState(0)
    return [
        Request(i, tuple(random.randint(2, SMALL["vocab_size"], n).tolist()), seed=i)
        for i, n in enumerate(LENGTHS[:count])
    ]


def oracle(made, request: Request, new: int, **options) -> list[list[int]]:
    prompt = torch.tensor([request.prompt])
    rows = made.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=new,
        eos_token_id=EOS,
        pad_token_id=EOS,  # so that what follows the first eos can be cut
        do_sample=False,
        **options,
    )
    answers = [row[len(request.prompt) :].tolist() for row in rows]
    return [row[: row.index(EOS) + 1] if EOS in row else row for row in answers]


def test_greedy_answers_of_a_mixed_batch_equal_transformers(pair):
    made, cached = pair
    stopping = Stopping(NEW, frozenset([EOS]))
    answers = list(generate(cached, requests(), lambda r: Sampled(r, stopping, None)))
    assert sorted(a.request.index for a in answers) == list(range(len(LENGTHS)))
    for answer in answers:
        wanted = oracle(made, answer.request, NEW)[0]
        assert list(answer.tokens) == wanted
        assert answer.stop == ("eos" if wanted[-1] == EOS else "length")
    assert {a.stop for a in answers} == {"eos", "length"}, "the seeds should show both"


@pytest.mark.parametrize("penalty", [1.0, 0.0, 3.0, -1.0])
def test_beams_equal_transformers(pair, penalty):
    made, cached = pair
    stopping = Stopping(FEW, frozenset([EOS]))
    beams = Beams(4, 3, penalty)
    found: dict[int, list] = {}
    for answer in generate(cached, requests(6), lambda r: BeamSearch(r, stopping, beams)):
        found.setdefault(answer.request.index, []).insert(0, list(answer.tokens))  # best last
    for request in requests(6):
        wanted = oracle(
            made,
            request,
            FEW,
            num_beams=4,
            num_return_sequences=3,
            length_penalty=penalty,
            early_stopping=False,
        )
        assert found[request.index] == wanted


@pytest.mark.parametrize("kind", ["sampled", "beams sampled"])
def test_answers_do_not_depend_on_their_company(pair, kind):
    _, cached = pair
    stopping = Stopping(FEW, frozenset([EOS]))
    drawn = Sampling(0.8, 20, 0.9)

    def begin(request):
        if kind == "sampled":
            return Sampled(request, stopping, drawn)
        return BeamSearch(request, stopping, Beams(2), drawn)

    together = {a.request.index: a.tokens for a in generate(cached, requests(), begin)}
    apart = {r.index: next(generate(cached, [r], begin)).tokens for r in requests()}
    assert together == apart
    assert len(set(together.values())) > 5


def test_a_stop_word_ends_an_answer_and_is_cut(pair):
    _, cached = pair
    request = requests(3)[2]

    def text_of(tokens):
        return "".join(f"<{token}>" for token in tokens)

    whole = next(generate(cached, [request], lambda r: Sampled(r, Stopping(NEW), None)))
    word = text_of(whole.tokens[4:6])
    stopping = Stopping(NEW, frozenset(), (word,), text_of)
    cut = next(generate(cached, [request], lambda r: Sampled(r, stopping, None)))
    first = text_of(whole.tokens).index(word)
    assert cut.stop == "stop_word"
    assert cut.tokens == whole.tokens[: len(cut.tokens)] and word in text_of(cut.tokens)
    assert stopping.trim(text_of(cut.tokens)) == text_of(whole.tokens)[:first]


def test_feeding_in_pieces_gives_the_same_scores_as_at_once(pair):
    made, cached = pair
    ids = requests()[6].prompt
    with torch.no_grad():
        wanted = made(torch.tensor([ids])).logits[0, -1].numpy()
    cached.cut(1, 0)
    cached.extend({1: ids[:70]}, greedy=False)
    cached.extend({1: ids[70:71]}, greedy=False)
    found = cached.extend({1: ids[71:]}, greedy=False)[1]
    np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kernels", ["composed", "native"])
@pytest.mark.parametrize("family", ["qwen3", "mistral"])
def test_families_without_a_bias_answer_as_transformers_do(family, kernels):
    """Qwen3's heads are normalized before they are rotated, and have a size of their own."""
    one = {"num_hidden_layers": 1}  # of several layers the tests above tell
    made = model(family, max_position_embeddings=256, head_dim=10, sliding_window=None, **one)
    arch = model_config.from_config(made.config.to_dict())
    cached = runner_choice.build(arch, mcore(made), 2, 24 + FEW, kernels=kernels)
    stopping = Stopping(FEW, frozenset([EOS]))
    for answer in generate(cached, requests(4), lambda r: Sampled(r, stopping, None)):
        assert list(answer.tokens) == oracle(made, answer.request, FEW)[0]


@pytest.mark.parametrize("narrower", [["-mavx2", "-mfma"], ["-msse4.2"]], ids=["avx2", "sse"], indirect=True)
def test_kernels_of_narrower_vectors_score_as_transformers_does(narrower):
    """The 4-wide code is NEON's, too."""
    made = model("qwen2", max_position_embeddings=256)
    arch, ids = model_config.from_config(made.config.to_dict()), requests()[6].prompt
    for _ in ("float32", "bf16"):
        narrow = runner_choice.build(arch, mcore(made), 2, len(ids), kernels="native")
        narrow.extend({1: ids[:70]}, greedy=False)
        narrow.extend({1: ids[70:-1]}, greedy=False)
        found = narrow.extend({1: ids[-1:]}, greedy=False)[1]
        with torch.no_grad():
            wanted = made(torch.tensor([ids])).logits[0, -1].numpy()
        np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=0)
        for weight in made.parameters():
            weight.data = weight.data.bfloat16().float()
    assert len(list((narrower / "distillery").glob("decoding-*.so"))) == 1


@pytest.mark.parametrize("kernels", ["composed", "native"])
def test_scores_that_are_no_numbers_stop_the_run_and_name_the_prompt(kernels):
    made = model("qwen2", max_position_embeddings=256, num_hidden_layers=1)
    state = mcore(made)
    state["decoder.layers.0.mlp.linear_fc2.weight"][3, 5] = np.nan
    broken = runner_choice.build(
        model_config.from_config(made.config.to_dict()), state, 4, 40, kernels=kernels
    )
    stopping = Stopping(4)
    searches = [
        lambda r: Sampled(r, stopping, None),
        lambda r: Sampled(r, stopping, Sampling()),
        lambda r: BeamSearch(r, stopping, Beams(2)),
    ]
    for begin in searches:
        with pytest.raises(Problem, match="prompt p7, token 1"):
            list(generate(broken, [Request(0, (3, 4, 5), name="p7")], begin))


@pytest.mark.parametrize("wrong", [{"num_beams": 1}, {"num_beams": 2, "num_answers": 3}])
def test_beam_settings_that_contradict_are_refused(wrong):
    with pytest.raises(UsageProblem, match="num-beams"):
        Beams(**wrong)
