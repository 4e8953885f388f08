"""`aigw-compile` and `python -m aigw_compile`: run the command line, and turn every way it can end into an exit code."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator

EXIT_USAGE = 3
EXIT_BUG = 4


def main() -> None:
    """Run a command. Exit: 0 fine, 1 errors, 2 changes, 3 usage or configuration, 4 a mistake of ours."""
    gc.disable()  # a short run: reading is two to three times as fast without it (measured on a file of 10,000 entities)
    try:
        code = _run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nothing is wrong, and there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        code = 130
    except Exception as bug:
        code = _report(bug)
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    """`lint PATH...` without options runs without click, whose import takes as long as a small lint itself."""
    if arguments[:1] == ["lint"] and all(os.path.exists(path) for path in arguments[1:]):
        from pathlib import Path

        from aigw_compile.cli.linting import lint

        return lint([Path(path) for path in arguments[1:]])
    return _click(arguments)


def _click(arguments: list[str]) -> int:
    import click

    from aigw_compile.cli.group import cli

    try:
        code = cli.main(arguments, prog_name="aigw-compile", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as wrong:
        wrong.show()
        return EXIT_USAGE
    except click.Abort:
        return 130
    return code if isinstance(code, int) else 0


def _report(bug: Exception) -> int:
    from aigw_compile.mask import in_play, scrub

    where = f"{type(bug).__name__}: {bug}"
    if in_play():  # an exception may quote any value, and its text has no place that could be asked for
        where = f"{type(bug).__name__} (its text is left out, since a part hides values)"
    if os.environ.get("AIGW_DEBUG"):
        import traceback

        told = _frames(bug) if in_play() else traceback.format_exception(bug)
        sys.stderr.write(scrub("".join(told)))
    sys.stderr.write(
        scrub(
            f"aigw-compile: this is a mistake of ours, not of yours: {where[:500]}\n"
            "Please report it. AIGW_DEBUG=1 shows where it happened.\n"
        )
    )
    return EXIT_BUG


def _frames(bug: BaseException) -> Iterator[str]:
    """Yield the types of an exception and of what caused it, the first of all first, and their frames: no text of any."""
    import traceback

    before = bug.__cause__ or (None if bug.__suppress_context__ else bug.__context__)
    if before is not None:
        yield from _frames(before)
    yield f"{type(bug).__name__}\n"
    yield from (
        f"  {frame.filename}:{frame.lineno} in {frame.name}\n" for frame in traceback.extract_tb(bug.__traceback__)
    )


if __name__ == "__main__":
    main()
