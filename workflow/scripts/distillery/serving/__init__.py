"""Answers from OpenAI-compatible servers: asked, paced, told apart, and kept in the same journal as our engine's."""
