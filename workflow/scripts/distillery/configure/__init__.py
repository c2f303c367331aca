"""Configurations for a person to go on from: a first one, from a file of rows, and the reference of all keys."""
