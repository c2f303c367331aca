"""Names in and of directories of weights: Megatron's, and the record of a training."""

TRACKER = "latest_checkpointed_iteration.txt"  # names the iteration that is whole
RANK_FILE = "model_optim_rng.pt"  # one rank's weights
DONE = "done.json"  # beside trained weights, written last
WORK = "work"  # below them, a folder for each run, named by its key
# Megatron's names of the tensors that have a row for each id
TABLES = ("embedding.word_embeddings.weight", "output_layer.weight")


def iteration_name(number: int) -> str:
    """Name of an iteration's directory, e.g. iter_0000400."""
    return f"iter_{number:07d}"
