"""`python -m boxwright` is the `boxwright` command."""

from boxwright.cli.main import main

if __name__ == "__main__":
    main()
