"""Training: from weights and tokenized data to tuned weights, or to a state from which to continue.

This room composes what the rooms tokenize, convert and engine offer; the command posttrain_gpt.py calls it.
"""
