"""Start the command line: `python -m eailab` is `eailab`."""

import atexit
import gc
import sys


def _freeze() -> None:
    """Let what is left at the end be, which saves looking for cycles; triton, if loaded, would list all of it."""
    if "triton" not in sys.modules:
        gc.freeze()


def main() -> None:
    """Run the program; an interrupt while it is still being loaded ends it without a traceback."""
    # A short command makes many objects that stay: looking for cycles among them takes a fifth of its time.
    gc.set_threshold(50_000, 20, 20)
    atexit.register(_freeze)
    try:
        from eailab.cli.app import main as run
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
