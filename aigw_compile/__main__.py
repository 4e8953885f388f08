"""`python -m aigw_compile` and the command `aigw-compile`: run the command line, and turn every way it can end into an exit code."""

from __future__ import annotations

import gc
import os
import sys

EXIT_USAGE = 3
EXIT_BUG = 4


def main() -> None:
    """Run a command. Exit: 0 fine, 1 errors, 2 changes, 3 usage or configuration, 4 a mistake of ours."""
    gc.disable()  # a short run: reading is two to three times as fast without it (measured on a file of 10,000 entities)
    import click

    from aigw_compile.cli import cli

    try:
        code = cli.main(prog_name="aigw-compile", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        code = end.exit_code
    except click.ClickException as wrong:
        wrong.show()
        code = EXIT_USAGE
    except click.Abort:
        code = 130
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nothing is wrong, and there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as bug:
        code = _report(bug)
    sys.exit(code if isinstance(code, int) else 0)


def _report(bug: Exception) -> int:
    from aigw_compile.mask import scrub

    if os.environ.get("AIGW_DEBUG"):
        import traceback

        sys.stderr.write(scrub("".join(traceback.format_exception(bug))))
    where = f"{type(bug).__name__}: {bug}"
    sys.stderr.write(
        scrub(
            f"aigw-compile: this is a mistake of ours, not of yours: {where[:500]}\n"
            "Please report it. AIGW_DEBUG=1 shows where it happened.\n"
        )
    )
    return EXIT_BUG


if __name__ == "__main__":
    main()
