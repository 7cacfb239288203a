"""Writes a student's folder (config.json, tokenizer.json, *.safetensors) as one GGUF file for llama.cpp.

`python -m boxwright_training.pocket.gguf_file --model FOLDER --out FILE`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from boxwright_training.exporting import gguf_file
from boxwright_training.exporting.gguf_file import Precision
from boxwright_training.pocket.paths import existing

LICENSE = "apache-2.0"


def write_gguf(folder: Path, out: Path, precision: Precision = "Q8_0", *, name: str = "pocket") -> None:
    """Write the model in `folder` to `out`, as what it is: the pocket student, under its licence."""
    gguf_file.write_gguf(folder, out, precision, name=name, license_name=LICENSE)


def main(arguments: list[str] | None = None) -> None:
    """Write the file that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", type=existing, required=True, help="a folder of weights")
    parser.add_argument("--out", type=Path, required=True, help="a .gguf file")
    parser.add_argument("--precision", default="Q8_0", choices=get_args(Precision))
    args = parser.parse_args(arguments)
    write_gguf(args.model, args.out, args.precision)


if __name__ == "__main__":
    main()
