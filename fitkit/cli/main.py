"""The `fitkit` command: which commands there are, and how every way to fail reaches the shell."""

from __future__ import annotations

import gc
import importlib
import sys
import warnings
from typing import final

import click

from fitkit import __version__
from fitkit.cli.terminal import tell
from fitkit.errors import ExitCode, FitkitError

COMMANDS = {
    "train": ("fitkit.cli.train", "Fit a config, report convergence, and save the run."),
    "check-grad": ("fitkit.cli.check_grad", "Verify the gradient of each config's objective."),
    "batch": ("fitkit.cli.batch", "Fit many configs, and gate on what became of them."),
    "validate": ("fitkit.cli.validate", "Check configs without fitting them."),
    "predict": ("fitkit.cli.predict", "Predict a table from a saved run."),
    "compare": ("fitkit.cli.compare", "Show what changed between two runs, or two batches."),
    "init": ("fitkit.cli.initialize", "Write a config from a table and a formula, with guessed starts."),
    "list": ("fitkit.cli.catalogue", "List the models, losses and optimizers there are."),
    "schema": ("fitkit.cli.schema", "Print the JSON Schema of a config, for editors."),
    "doctor": ("fitkit.cli.doctor", "Show versions, devices and precision of this machine."),
    "certify": ("fitkit.cli.certify", "Count the right digits on NIST's reference problems."),
}
"""Each command's module and help line: a module is imported only when its command runs."""


@final
class LazyGroup(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, imported; a stand-in with its help line while only help is wanted."""
        if cmd_name not in COMMANDS:
            return None
        module, help_line = COMMANDS[cmd_name]
        if not ctx.resilient_parsing and sys.argv[1:] in (["--help"], ["-h"], []):
            return click.Command(cmd_name, short_help=help_line)
        command: click.Command = importlib.import_module(module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name, or fail with the closest name."""
        from fitkit.errors import did_you_mean

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = did_you_mean(args[0], COMMANDS) or "see `fitkit --help`"
            ctx.fail(f"there is no command `{args[0]}`; {hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="fitkit %(version)s")
def group() -> None:
    """Fit models described in YAML, and report convergence with its evidence.

    \b
    fitkit train config.yaml        fit, report, save the run
    fitkit validate config.yaml     check a config in a moment
    """  # noqa: D301 - \b is click's mark for lines to keep


def main() -> None:
    """Run the command and leave with its exit code; whatever happens, no traceback reaches the user."""
    # Imports make half a million objects that stay: looking for garbage among them every 700 takes a tenth of a second.
    gc.set_threshold(100_000, 50, 100)
    if not sys.warnoptions:  # Python's warnings speak to programmers; what a user is to know stands in the report
        warnings.simplefilter("ignore")
    try:
        code = group.main(standalone_mode=False)
    except FitkitError as error:
        tell(error.render())
        sys.exit(int(error.exit_code))
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        tell("interrupted")
        sys.exit(int(ExitCode.INTERRUPTED))
    except Exception as error:
        report_bug(error)
        sys.exit(int(ExitCode.INTERNAL))
    sys.exit(code if isinstance(code, int) else 0)


def report_bug(error: Exception) -> None:
    """Tell of a bug, and where its details were written."""
    from fitkit.run.failed import write_bug

    details = write_bug(error)
    first = (str(error).splitlines() or [""])[0]
    tell(
        f"internal error: {type(error).__name__}: {first}\n"
        f"  = help: this is a bug in fitkit {__version__}, not in your config; please report it with {details}"
    )
