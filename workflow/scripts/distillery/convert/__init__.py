"""Weights in two forms, Hugging Face safetensors and Megatron-core rank files, without torch.

    from distillery.convert import states
    states.load_rank(mcore_dir, tp_rank=0, pp_rank=0)   # {MCore name: read-only mapped array}, saved args
    states.load_state(any_dir)                          # TP1 PP1 state of an HF or MCore directory
    states.save(mcore_dir, {(0, 0): state}, args, 400)  # a whole MCore checkpoint, tracker last

architecture: what the weights must be; layout: which rank holds which layer; slices: which part of which
tensor; pickling, torchfile: the .pt container; shards: safetensors files; ranks: sets of rank files; sources: both
forms seen as Hugging Face tensors in pieces; gather, copying: pieces streamed from file to file; mcore, export:
output directories; flags, request, convert, integrity, inspection, verify, logits: what the commands do.
"""
