"""Marks in data and answers on which several stages must agree."""

# label of a token that is not learnt, as in torch and in the reference; native.cpp has it as well
IGNORED = -100
# what stands between them is the model's reasoning, before its answer
THINK, END_THINK = "<think>", "</think>"
