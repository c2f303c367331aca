"""Fine-tuning: from weights and tokenized data to tuned weights, or to a state from which to continue.

This room composes what the data, checkpoint and engine rooms offer; the command posttrain_gpt.py calls it.
"""
