"""`python -m eailab` is `eailab`."""

from eailab.cli.app import main

if __name__ == "__main__":
    main()
