"""The program `gatewise`, from its first line on: an interrupt ends it with exit code 130, and no traceback."""

import sys


def main() -> None:
    """Run the program `gatewise`; an interrupt ends it with exit code 130."""
    try:
        import os
        import signal

        interrupted = signal.getsignal(signal.SIGINT)
        if interrupted is signal.default_int_handler:
            # While modules are imported nothing is open that must be put away, and an exception could be swallowed.
            signal.signal(signal.SIGINT, lambda *_: os._exit(130))
        from gatewise.cli import main as run

        if interrupted is signal.default_int_handler:
            signal.signal(signal.SIGINT, interrupted)
        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
