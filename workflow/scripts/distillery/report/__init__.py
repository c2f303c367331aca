"""One self-contained page for an experiment: figures, tables, examples, and where everything came from."""
