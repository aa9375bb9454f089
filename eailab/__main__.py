"""`python -m eailab` is `eailab`."""

import sys


def main() -> None:
    """Run the program; an interrupt while it is still being loaded ends it without a traceback."""
    try:
        from eailab.cli.app import main as run
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
