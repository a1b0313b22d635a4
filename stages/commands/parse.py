"""`anyword parse` and `anyword parsers`."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.artifacts.errors import AnywordError, SampleError

if TYPE_CHECKING:
    from rich.console import Group

    from stages.parse.parser import ParseRequest, ParseResult

log = logging.getLogger("anyword")

COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red", "bright_cyan", "bright_magenta")
Config = Annotated[Path | None, typer.Option(help="A configuration whose `parsers` are added to the known recipes.")]


def parse(
    text: Annotated[list[str] | None, typer.Option(help="A text to parse; may be given several times.")] = None,
    input: Annotated[Path | None, typer.Option(help='Texts as JSONL: {"id", "text"} a line.')] = None,
    parser: Annotated[str, typer.Option(help="Name of the recipe; `anyword parsers` lists them.")] = "spacy",
    output: Annotated[Path | None, typer.Option(help="JSONL file to write instead of printing.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON also on a terminal.")] = False,
    config: Config = None,
) -> None:
    """Find a text's phrases: nouns with their adjectives, verbs with subject and object, the referred object.

    Prints one JSON object a text; on a terminal, unless --json is given, the text in colour and what binds to what.
    Offsets count characters of the text as it was given. A text that cannot be parsed says why in its notes.

    Example: anyword parse --text "a red and white bus behind two cats"
    """
    from stages.artifacts.progress import track
    from stages.parse.catalogue import recipe_named
    from stages.parse.parser import ParseRequest, load_parser
    from stages.parse.texts import as_line, as_object, parsed, read_texts

    if bool(text) == (input is not None):
        raise AnywordError("anyword parse needs either --text or --input.")
    requests: Any = (
        read_texts(input)
        if input is not None
        else [ParseRequest(str(number), _readable(one)) for number, one in enumerate(text or (), start=1)]
    )
    if input is not None and not input.is_file():
        raise AnywordError(f"{input}: no such file.", remedy='Give a JSONL file, {"id", "text"} a line.')
    tally: Counter[str] = Counter()
    results = _counted(parsed(load_parser(recipe_named(parser, config)), requests), tally)
    if output is not None:
        _write(output, (as_line(as_object(*one)) for one in track(results, f"parse by {parser}")))
        log.info("%s: %d texts, %d phrases", output, tally["texts"], tally["phrases"])
    elif json or not sys.stdout.isatty():
        for one in results:
            typer.echo(as_line(as_object(*one)))
    else:
        from rich.console import Console

        console = Console()
        for request, result in results:
            console.print(in_colour(as_object(request, result)))
    if tally["failed"]:
        log.warning("%d of %d texts could not be parsed; their notes say why", tally["failed"], tally["texts"])
    if tally["requests"]:
        log.info(
            "%d requests, %d + %d tokens, cost %.4f, %d words dropped",
            tally["requests"], tally["prompt_tokens"], tally["completion_tokens"], tally["cost"],
            tally["dropped_words"],
        )  # fmt: skip


def parsers(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: Config = None,
) -> None:
    """List the parser recipes, and say which can run on this machine and what the others lack."""
    from stages.parse.catalogue import recipes
    from stages.parse.texts import as_line

    rows = [_status(name, recipe) for name, recipe in sorted(recipes(config).items())]
    if json:
        for row in rows:
            typer.echo(as_line(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("recipe", "kind", "options", "runs here", box=None, pad_edge=False)
    for row in rows:
        options = ", ".join(f"{key}: {value}" for key, value in row["recipe"].items() if key != "kind")
        state = "[green]yes[/green]" if row["runs"] else f"[yellow]no:[/yellow] {row['lacks']}"
        table.add_row(row["name"], str(row["recipe"].get("kind")), options, state)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _status(name: str, recipe: dict[str, Any]) -> dict[str, Any]:
    from stages.parse.parser import lacking

    try:
        missing = lacking(recipe)
    except AnywordError as error:
        missing = str(error)
    return {"name": name, "recipe": recipe, "runs": missing is None, "lacks": missing}


def _readable(text: str) -> str:
    """Bytes of a command line that are no UTF-8 become replacement characters."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _counted(
    results: Iterator[tuple[ParseRequest, ParseResult]], tally: Counter[str]
) -> Iterator[tuple[ParseRequest, ParseResult]]:
    for request, result in results:
        tally["texts"] += 1
        if isinstance(result, SampleError):
            tally["failed"] += 1
        else:
            tally["phrases"] += len(result.parse.phrases)
        tally.update(getattr(result, "usage", {}))
        yield request, result


def _write(output: Path, lines: Iterator[str]) -> None:
    from stages.artifacts.atomic import aside

    with aside(output) as partial, partial.open("w", encoding="utf-8") as stream:
        for line in lines:
            stream.write(line + "\n")


def in_colour(value: dict[str, Any]) -> Group:
    """A parse for the eye: the text with each phrase in its colour (root bold, adjectives in italics), and below it
    what binds to what."""
    from rich.console import Group
    from rich.text import Text

    text = Text(value["text"])
    phrases = value["phrases"]

    def named(index: int | None) -> Text:
        if index is None:
            return Text("–", "dim")
        return Text(phrases[index]["root"]["text"], f"bold {COLOURS[index % len(COLOURS)]}")

    lines = []
    for index, phrase in enumerate(phrases):
        colour = COLOURS[index % len(COLOURS)]
        text.stylize(colour, phrase["start"], phrase["end"])
        text.stylize(f"bold {colour}", phrase["root"]["start"], phrase["root"]["end"])
        for word in phrase["adjectives"]:
            text.stylize(f"italic {colour}", word["start"], word["end"])
        words = ", ".join(word["text"] for word in phrase["adjectives"])
        mark = Text("  referred", "dim") if value["referred"] == index else Text("")
        lines.append(Text.assemble("  ", named(index), f"  ← {words}" if words else "", mark))
    for one in value["predicates"]:
        verb = Text(one["text"], "underline")
        text.stylize("underline", one["start"], one["end"])
        lines.append(Text.assemble("  ", named(one["subject"]), " ─ ", verb, " → ", named(one["object"])))
    for one in value["relations"]:
        lines.append(Text.assemble("  ", named(one["subject"]), f" ─ {one['text']} ─ ", named(one["object"])))
    lines += [Text(f"  {note}", "yellow") for note in value["notes"]]
    return Group(text, *lines)
