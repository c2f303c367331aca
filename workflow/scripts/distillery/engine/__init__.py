"""The built-in engine: Qwen2 and Llama decoders in MindSpore, trained and sampled on a CPU or an NPU."""
