"""`python -m fitkit` is the `fitkit` command."""

from fitkit.cli.main import main

if __name__ == "__main__":
    main()
