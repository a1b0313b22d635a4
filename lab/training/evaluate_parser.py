"""The embedded parser on the captions of the embedded world's test scenes."""

from __future__ import annotations

from pathlib import Path

from stages import REPOSITORY


def evaluate(scenes: int, pipeline: Path | None = None) -> dict[str, float]:
    """parser_noun_f1 (root nouns), parser_adjective_f1 ((noun, adjective) pairs), and beside them
    parser_predicate_f1 ((verb, subject, object)) and parser_referred, on the first `scenes` test captions.

    pipeline: folder of a spaCy pipeline; default the embedded one. AnywordError where it is not there.
    """
    from lab.studies.gold import Gold, adjective_set, compare, noun_set, triple_set
    from stages.artifacts.errors import SampleError
    from stages.artifacts.language import Parse
    from stages.parse.parser import ParseRequest, load_parser
    from stages.world.sample import sample

    folder = pipeline or REPOSITORY / "models" / "parser"
    parser = load_parser({"kind": "spacy", "pipeline": str(folder)})
    samples = [sample("test", number) for number in range(scenes)]
    answers = parser.parse([ParseRequest(one.id, one.text) for one in samples])
    golds, parses = [], []
    for one, answer in zip(samples, answers, strict=True):
        referred = one.parse.referred
        golds.append(
            Gold(
                "test",
                one.caption.register,
                one.text,
                tuple(noun_set(one.parse)),
                tuple(adjective_set(one.parse)),
                tuple(triple_set(one.parse)),
                None if referred is None else one.parse.phrases[referred].root,
            )
        )
        parses.append(Parse() if isinstance(answer, SampleError) else answer.parse)
    return {f"parser_{key}": value for key, value in compare(parses, golds).items()}
