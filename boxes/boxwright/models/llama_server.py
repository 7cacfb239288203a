"""The child process of `gguf/…`: llama.cpp's own server on loopback, until standard input ends.

    python -P llama_server.py CONTEXT_TOKENS THREADS FILE [ADAPTER]

The key that callers must show comes as the first line of standard input, since arguments are open to all users; the
address goes out as the only line of standard output. Imports nothing of Boxwright's, so that it starts fast.
"""

from __future__ import annotations

import sys

import xllamacpp


def main() -> None:
    """Load the model and serve it."""
    context_tokens, threads, path, *adapters = sys.argv[1:]
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(file, 1.0) for file in adapters]
    params.n_ctx = int(context_tokens)
    if threads != "0":  # else as many as llama.cpp sees fit
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(threads)
    params.api_keys = [sys.stdin.readline().strip()]
    params.cors_origins = ""  # no web page has business here
    params.ui = params.endpoint_slots = False
    params.verbosity = 1  # errors
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201
    sys.stdin.read()


if __name__ == "__main__":
    main()
