"""MindSpeed-LLM, the second engine: its command lines, its stages driven and their files taken over.

Each stage is a module: `tokenize_stage`, `convert_stage`, `train_lines` with `train_stage`, and `generate_stage` hold the
flags of its script and what makes our files of its own. planning/checks/mindspeed_checks.py says before any job what it
would reject.
"""
