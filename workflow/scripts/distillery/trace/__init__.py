"""Where an answer came from, and what became of a row: through digests, keys and orders that a run left; nothing is run."""
