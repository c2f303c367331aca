"""Weights of either form into a decoder with a cache."""

from __future__ import annotations

from distillery.checkpoint import states
from distillery.engine.cache import CachedDecoder
from distillery.engine.decoder import Decoder, load_state
from distillery.inference.weights import Weights


def runner(found: Weights, slots: int, longest: int, device: str) -> CachedDecoder:
    """A decoder that keeps `slots` sequences of at most `longest` tokens."""
    import mindspore as ms

    ms.set_device(device)
    state = states.load_state(found.directory)
    rows = state["embedding.word_embeddings.weight"].shape[0]
    model = Decoder(found.architecture, padded_vocab=rows)
    load_state(model, state)
    return CachedDecoder(model, slots, longest)
