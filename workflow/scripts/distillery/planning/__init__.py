"""What an experiment will need and what contradicts itself, known before a byte moves."""
