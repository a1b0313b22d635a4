"""`anyword`: what people type, and what the workflow's rules call.

Nothing heavy is imported until a command runs, so `anyword --help` answers at once. An AnywordError ends a command
with its one line on stderr and status 2; `--debug` shows where it arose.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from importlib.metadata import entry_points
from typing import Annotated

import typer

from stages.artifacts.errors import AnywordError
from stages.artifacts.stopping import STATUS, Stopped, listen
from stages.commands import stage
from stages.commands.app import app as app_command
from stages.commands.backbone import backbone
from stages.commands.compare import compare
from stages.commands.explain import explain
from stages.commands.export import export
from stages.commands.parse import parse, parsers
from stages.commands.picture import picture
from stages.commands.plan import plan
from stages.commands.results import results
from stages.commands.run import init, run
from stages.commands.segment import segment
from stages.commands.status import status
from stages.commands.verify import verify

app = typer.Typer(
    name="anyword",
    help="Segment every word of a sentence in an image, with frozen models only, over whole datasets.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(segment)
app.command("app")(app_command)
app.command()(init)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(run)
app.command()(results)
app.command()(explain)
app.command()(compare)
app.command()(picture)
app.command()(plan)
app.command()(backbone)
app.command()(status)
app.command()(verify)
app.command()(export)
app.command()(parse)
app.command()(parsers)
app.add_typer(stage.app, name="stage")
for entry in sorted(entry_points(group="anyword.commands"), key=lambda one: one.name):
    app.add_typer(entry.load(), name=entry.name)
"""Commands that other packages add, the laboratory's `study` and `world` among them: this one imports none of them."""


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error, and log more.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Log warnings and errors only.")] = False,
) -> None:
    if debug:
        os.environ["ANYWORD_DEBUG"] = "1"
    set_up_logging(logging.DEBUG if _debugging() else logging.WARNING if quiet else logging.INFO)


def set_up_logging(level: int) -> None:
    """Log to stderr: in colour on a terminal, plain dated lines in a rule's log file."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.logging import RichHandler

        handler: logging.Handler = RichHandler(
            console=Console(stderr=True), show_path=False, show_time=False, markup=False
        )
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    root = logging.getLogger("anyword")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False


def main() -> None:
    """Entry point. Status 2 for what the user can mend (the machine's refusals among it), 130 when interrupted, 143 on
    SIGTERM."""
    listen()
    try:
        app(prog_name="anyword")
    except AnywordError as error:
        if _debugging():
            raise
        sys.stderr.write(f"anyword: {error}\n")
        sys.exit(2)
    except OSError as error:  # a full disk, no permission, a mount that went away
        if _debugging() or error.strerror is None:
            raise
        place = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"anyword: {place}{error.strerror}. What was finished is kept; run it again.\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("anyword: interrupted; finished batches are kept.\n")
        sys.exit(130)
    except Stopped as stopped:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would end what says what is kept
        sys.stderr.write(f"anyword: {stopped}\n")
        sys.exit(STATUS)


def _debugging() -> bool:
    return os.environ.get("ANYWORD_DEBUG", "") not in ("", "0")
