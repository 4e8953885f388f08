"""`aigw-compile comment`: a diff to the one comment of a pull request."""

from __future__ import annotations

import os
from pathlib import Path

import click

from aigw_compile import comments


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default=comments.NAME, show_default=True, help="Tells it from other comments of a pipeline.")
@click.option("--only-update", is_flag=True, help="Write no new comment: only one that is there already is changed.")
def command(file: Path, name: str, only_update: bool) -> None:
    """Write FILE, a diff as Markdown, as a comment of the pull request that this pipeline runs for; the next time that
    same comment is written anew.

    GitHub: GITHUB_TOKEN with `pull-requests: write`. GitLab: AIGW_TOKEN, a token of the project with the scope `api`.
    Where it runs is read from the variables that both set by themselves.
    """
    try:
        text = file.read_text("utf-8", "replace")
        done = comments.comment(comments.forge(os.environ), text, name, only_update=only_update)
    except (comments.CommentError, OSError) as wrong:
        raise click.ClickException(str(wrong)) from None
    click.echo(f"comment: {done}", err=True)
