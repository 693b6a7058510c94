"""The program `gatewise`, from its first line to its last: a signal ends it with exit code 128 + its number."""

import sys


def main() -> None:
    """Run the program; Ctrl-C ends it with exit code 130, SIGTERM with 143, neither with a traceback.

    While a command runs, a signal raises KeyboardInterrupt, so that it removes what it has half written. While modules
    are imported and as the interpreter ends, nothing is open, and an exception could be swallowed: the program exits
    at once.
    """
    code = 1  # of an exception that nobody has foreseen
    try:
        import os
        import signal

        def exit_at_once(number: int, frame: object) -> None:
            os._exit(128 + number)

        def interrupt(number: int, frame: object) -> None:
            raise KeyboardInterrupt(number)

        defaults = (signal.default_int_handler, signal.SIG_DFL)  # what is to be ignored stays so
        heeded = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) in defaults]
        for number in heeded:
            signal.signal(number, exit_at_once)

        import atexit
        from contextlib import suppress

        def leave() -> None:
            """End the process without the interpreter's own end, during which a signal would be lost."""
            for stream in (sys.stdout, sys.stderr):
                with suppress(AttributeError, OSError, ValueError):  # closed, or what reads it is gone
                    stream.flush()
            os._exit(code)

        atexit.register(leave)  # before all others, so it is called after them
        try:
            from gatewise.cli import main as run

            for number in heeded:
                signal.signal(number, interrupt)
            run()
            code = 0
        finally:
            for number in heeded:
                signal.signal(number, exit_at_once)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        raise
    except KeyboardInterrupt as signalled:
        code = 128 + (*signalled.args, 2)[0]
        sys.exit(code)


if __name__ == "__main__":
    main()
