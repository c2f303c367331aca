"""Generation: from weights and a prompt file to a file of answers, or to a chat on a terminal.

This room composes what the rooms tokenize, convert and engine offer; the command inference.py calls it.
"""
