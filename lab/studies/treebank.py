"""A spaCy pipeline on the treebank's test part."""

from __future__ import annotations

from pathlib import Path

from stages.artifacts import AnywordError


def study(data: Path, pipeline: str = "embedded", part: str = "test") -> dict[str, float | int]:
    """upos, xpos, uas, las (punctuation left out) and amod_f1 of a pipeline on one part of UD English EWT.

    The sentences are tokenised by the pipeline; a gold token that it splits otherwise counts as spaCy's scorer counts
    it. AnywordError where the data or the pipeline is missing.
    """
    from lab.training.train_parser import scores, treebank_docs
    from stages.parse.spacy_pipeline import load_pipeline, pipeline_path

    try:
        docs = treebank_docs(data, part)
    except FileNotFoundError as error:
        raise AnywordError(str(error)) from None
    nlp = load_pipeline(pipeline, pipeline_path(pipeline))
    return {**scores(nlp, docs), "sentences": len(docs), "tokens": sum(len(doc) for doc in docs)}
