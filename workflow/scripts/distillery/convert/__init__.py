"""Weights in two forms, Hugging Face safetensors and Megatron-core rank files, without torch.

    from distillery.convert import states
    states.load_rank(mcore_dir, tp_rank=0, pp_rank=0)   # {MCore name: read-only mapped array}, saved args
    states.load_state(any_dir)                          # TP1 PP1 state of an HF or MCore directory
    states.save(mcore_dir, {(0, 0): state}, args, 400)  # a whole MCore checkpoint, tracker last

tensor_map: what tensors there are; mcore_layout: which rank holds which layer; slices: which part of which
tensor; pickling, unpickling, torchfile: the .pt container, MSAdapter's too; shards: safetensors files; rank_files:
sets of them; weight_sources: both forms seen as Hugging Face tensors in pieces; gather, copying: pieces streamed from
file to file; mcore, export: output directories; conversion, convert_flags, convert, stored_bytes, inspection, proof,
logits: what the commands do.
"""
