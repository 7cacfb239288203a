"""Exporting: what fine-tuning made, as merged weights, as a GGUF file for llama.cpp and as a Modelfile for Ollama."""
