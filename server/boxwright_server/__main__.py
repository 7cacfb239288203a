"""`python -m boxwright_server …` is `boxwright serve …`: what clients and images start."""

import sys

from boxwright.cli.main import main

if __name__ == "__main__":
    main(["serve", *sys.argv[1:]], prog_name="boxwright")
