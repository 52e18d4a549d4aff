"""`fitkit compare`."""

from __future__ import annotations

import sys

import click

from fitkit.cli.terminal import say, speaks_unicode, text_style


@click.command("compare", short_help="Show what changed between two runs, or two batches.")
@click.argument("before", metavar="RUN", type=click.Path())
@click.argument("after", metavar="RUN", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--verbose", "-v", is_flag=True, help="Print every fit of two batches in full.")
def command(*, before: str, after: str, as_json: bool, verbose: bool) -> None:
    """Show what changed from one RUN to another: the folder of a run, its result.json, or the results of a batch.

    Differences are told in numbers and in standard errors: the smaller of both where the data are the same, the combined
    one where they are not. Exit codes: 0, whatever changed; 2 usage; 9 a run cannot be used.
    """
    from fitkit.comparison.changes import compare
    from fitkit.comparison.documents import read_documents, unusable

    documents = read_documents(before), read_documents(after)
    try:
        found = compare((before, after), *documents)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unusable(f"{before} or {after}", f"a result is damaged ({type(error).__name__}: {error})") from None
    if as_json:
        from fitkit.reports.comparison_json import render as as_document

        say(as_document(found, ascii_only=not speaks_unicode(sys.stdout)))
    else:
        from fitkit.reports.comparison_text import render

        say(render(found, text_style(verbose=verbose)))
