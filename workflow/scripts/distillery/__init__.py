"""The library behind Distillery's commands: importable and testable without Snakemake."""
