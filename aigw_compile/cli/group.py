"""The click group: a table of commands, each imported only when it is called."""

from __future__ import annotations

from importlib import import_module
from keyword import iskeyword

import click

from aigw_compile import __version__
from aigw_compile.cli import COMMANDS
from aigw_compile.diagnostic import did_you_mean


class Commands(click.Group):
    """A group that imports a command only when it is called, and guesses what a misspelt one meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = import_module(f"aigw_compile.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f'no command "{args[0]}": {did_you_mean(args[0], COMMANDS)}')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="aigw-compile")
def cli() -> None:
    """Compile and validate one AI gateway spec for Kong, Envoy, Kubernetes and the reference proxy.

    Exit codes: 0 fine, 1 errors (with --strict warnings too), 2 changes (diff --exit-code), 3 usage or configuration,
    4 a mistake of ours.
    """
