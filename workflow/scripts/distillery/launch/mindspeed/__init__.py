"""MindSpeed-LLM 2.2.0, the second engine: its command lines as facts, its stages driven and their files taken over.

Each stage is a module: `tokenizing`, `converting`, `training` with `finetuning`, and `answering` hold the flags of its
script and what makes our files of its own; `planned` says before any job what it would reject.
"""
