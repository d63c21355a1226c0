"""The table of commands, and the group that loads a command when it is asked for."""

import difflib
import importlib

import click

from cairnfs.client.cli.settings import Settings

# Section → command → (module that defines it, one line of help).
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Move data": {
        "put": ("transfer", "Copy local files or folders into the cluster."),
        "get": ("transfer", "Copy files or folders out of the cluster."),
        "cat": ("content", "Write files to standard output."),
        "head": ("content", "Write the first lines or bytes of files."),
        "tail": ("content", "Write the last lines or bytes of files."),
        "cp": ("copying", "Copy files or folders within the cluster."),
        "mv": ("copying", "Rename files or folders, or move them into a folder."),
    },
    "Look": {
        "ls": ("listing", "List folders."),
        "find": ("walking", "List everything below folders that fits a pattern."),
        "stat": ("details", "Show everything about files: size, owner, times, …"),
        "du": ("walking", "Add up the sizes below folders."),
        "df": ("details", "Show how much space the cluster has."),
        "checksum": ("content", "Compute checksums of files' content."),
    },
    "Change": {
        "mkdir": ("changes", "Make folders."),
        "rm": ("changes", "Remove files or folders."),
        "ln": ("changes", "Make hard or symbolic links."),
        "touch": ("changes", "Set files' times to now, and make files that are missing."),
        "chmod": ("permissions", "Change permissions."),
        "chown": ("permissions", "Change owner and group."),
    },
    "Run a cluster": {
        "up": ("local", "Start a cluster on this machine, or what is down of one."),
        "down": ("local", "Stop the cluster that `up` started."),
        "status": ("members", "Show namenodes and datanodes, and which are alive."),
        "namenode": ("processes", "Run one namenode."),
        "datanode": ("processes", "Run one datanode."),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}

_EPILOG = """\b
Which cluster: --cluster cairn://host:port,host:port, else the variable
CAIRN_CLUSTER, else the local cluster that `cairn up` started.

\b
Exit codes: 0 done · 1 an operation failed · 2 wrong command or configuration
3 the cluster is unavailable · 130 interrupted · 141 the reader has gone"""


class LazyGroup(click.Group):
    """A group whose commands live in modules that are imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, from its module; None where there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"cairnfs.client.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest names where there is no such command."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=2)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise click.UsageError(f"there is no command {args[0]!r}{hint}", ctx)
        settings = ctx.find_object(Settings)
        if settings is not None and args:
            settings.command = args[0]
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section, without loading any."""
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, summary) for name, (_, summary) in commands.items()])


def _print_version(context: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        click.echo(f"cairn {version('cairnfs')}")
        context.exit()


@click.group(
    cls=LazyGroup,
    epilog=_EPILOG,
    invoke_without_command=True,
    no_args_is_help=False,
    context_settings={"max_content_width": 100},
)
@click.option("--cluster", metavar="ADDRESS", help="The cluster to talk to: cairn://host:port,host:port.")
@click.option("--timeout", "timeout_s", type=float, metavar="SECONDS", help="Give up after this long without a leader.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show version."
)
@click.pass_context
def cairn(context: click.Context, cluster: str | None, timeout_s: float | None) -> None:
    """Work with a CairnFS cluster: files, folders, and the cluster itself.

    \b
    cairn up --detach                start a cluster on this machine
    cairn put -r photos /            copy a folder into it
    cairn ls -l /photos              look at it
    cairn get /photos/1.jpg .        get a file back
    tar c src | cairn put - /src.tar
    cairn COMMAND --help             what a command can do, with examples
    """
    settings = context.ensure_object(Settings)
    settings.cluster, settings.timeout_s = cluster, timeout_s
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(2)
