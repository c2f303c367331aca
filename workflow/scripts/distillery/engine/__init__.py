"""The built-in engine: Qwen2, Qwen3, Llama and Mistral decoders in MindSpore, trained and sampled on a CPU or an NPU."""
