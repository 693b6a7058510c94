"""The program `gatewise`, from its first line to its last: a signal ends it with exit code 128 + its number."""

import sys

TYPE_CHECKING = False  # nothing may be imported before signals are heeded
if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import Signals


def run_program() -> None:
    """Run the program, and end the process; Ctrl-C gives exit code 130, SIGTERM 143, SIGHUP 129, without a traceback.

    While a command runs, a signal raises KeyboardInterrupt, so that it removes what it has half written. While modules
    are imported and as the process ends, nothing is open, and an exception could be swallowed: the program exits at
    once.
    """
    code = 1  # of an exception that nobody has foreseen
    try:
        import os
        import signal

        def exit_at_once(number: int, frame: object) -> None:
            os._exit(128 + number)

        heeded = _heeded_signals()
        for number in heeded:
            signal.signal(number, exit_at_once)
        try:
            from gatewise.cli import main as run

            _run_interruptible(run, heeded)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
        except KeyboardInterrupt as interrupt:
            code = _exit_code(interrupt)
        except BaseException:
            sys.excepthook(*sys.exc_info())
    except KeyboardInterrupt as interrupt:  # before the first line that heeds signals
        sys.exit(_exit_code(interrupt))
    # The interpreter's own end would lose a signal, so its work is done here: threads, exit handlers, streams.
    try:
        import atexit
        import contextlib
        import threading

        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, OSError, ValueError):  # closed, or nobody reads it
                stream.flush()
    finally:
        os._exit(code)


def main() -> None:
    """Run the program inside a process that goes on: return, or raise SystemExit with the exit code.

    While it runs, Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt. Afterwards their handlers are the earlier ones.
    """
    import threading

    in_main_thread = threading.current_thread() is threading.main_thread()  # only there can a handler be set
    unraisable = sys.unraisablehook
    try:
        from gatewise.cli import main as run

        _run_interruptible(run, _heeded_signals() if in_main_thread else [])
    except KeyboardInterrupt as interrupt:
        sys.exit(_exit_code(interrupt))
    finally:
        sys.unraisablehook = unraisable


def _heeded_signals() -> "list[Signals]":
    """Return the signals that end the program: not those that are ignored or that have a handler of a host."""
    import signal

    defaults = (signal.default_int_handler, signal.SIG_DFL)
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no terminal that hangs up
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) in defaults]


def _run_interruptible(run: "Callable[[], None]", heeded: "list[Signals]") -> None:
    """Call a function in which the first signal raises KeyboardInterrupt, and restore the handlers."""
    import signal

    earlier = {int(number): signal.getsignal(number) for number in heeded}
    count = 0

    def interrupt(number: int, frame: object) -> None:
        # The second signal is ignored, or it would stop the clean-up after the first. The third has its earlier
        # handler, which ends even a clean-up that hangs.
        nonlocal count
        count += 1
        sys.unraisablehook = _ignore_unraisable  # what was interrupted may fail once more as it is deleted
        if count == 1:
            raise KeyboardInterrupt(number)
        if count > 2:
            signal.signal(number, earlier[number])
            signal.raise_signal(number)

    try:
        for number in heeded:
            signal.signal(number, interrupt)
        run()
    finally:
        for heeded_number, handler in earlier.items():
            signal.signal(heeded_number, handler)


def _ignore_unraisable(problem: object) -> None:
    pass


def _exit_code(interrupt: KeyboardInterrupt) -> int:
    """Return 128 and the number of the signal, which is SIGINT's unless the interrupt names another."""
    return 128 + next((number for number in interrupt.args if isinstance(number, int)), 2)


if __name__ == "__main__":
    run_program()
