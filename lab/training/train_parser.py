"""Training of the embedded parser: a small spaCy pipeline on the treebank of web English and template captions.

One tok2vec (96 wide, 4 layers of window 1) is shared by a tagger (XPOS), a morphologizer (UPOS only) and a
transition-based dependency parser. Four in ten texts are captions grown by `parser_grammar`, new ones each time.
Treebank sentences are joined in groups of one to three, or the parser would never learn where a sentence ends.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc
    from spacy.training import Example

log = logging.getLogger(__name__)

TREEBANK_SOURCE = "https://github.com/UniversalDependencies/UD_English-EWT"
PARTS = {part: f"en_ewt-ud-{part}.conllu" for part in ("train", "dev", "test")}
STEPS = 6000
BATCH_WORDS = 900
CAPTIONS = 0.4
"""Share of the texts that are template captions."""
_QUANTIFIERS = frozenset(("several", "many", "few", "other", "such"))
COMPONENTS = ("tok2vec", "tagger", "morphologizer", "parser")

CONFIG: dict[str, Any] = {
    "nlp": {"lang": "en", "pipeline": list(COMPONENTS), "batch_size": 256},
    "components": {
        "tok2vec": {
            "factory": "tok2vec",
            "model": {
                "@architectures": "spacy.Tok2Vec.v2",
                "embed": {
                    "@architectures": "spacy.MultiHashEmbed.v2",
                    "width": 96,
                    "attrs": ["NORM", "PREFIX", "SUFFIX", "SHAPE"],
                    "rows": [5000, 1000, 2500, 2500],
                    "include_static_vectors": False,
                },
                "encode": {
                    "@architectures": "spacy.MaxoutWindowEncoder.v2",
                    "width": 96,
                    "depth": 4,
                    "window_size": 1,
                    "maxout_pieces": 3,
                },
            },
        },
        **{
            name: {
                "factory": name,
                "model": {
                    "@architectures": "spacy.Tagger.v2",
                    "tok2vec": {"@architectures": "spacy.Tok2VecListener.v1", "width": 96, "upstream": "tok2vec"},
                },
            }
            for name in ("tagger", "morphologizer")
        },
        "parser": {
            "factory": "parser",
            "model": {
                "@architectures": "spacy.TransitionBasedParser.v2",
                "state_type": "parser",
                "extra_state_tokens": False,
                "hidden_width": 64,
                "maxout_pieces": 2,
                "use_upper": True,
                "tok2vec": {"@architectures": "spacy.Tok2VecListener.v1", "width": 96, "upstream": "tok2vec"},
            },
        },
    },
}


def treebank_docs(treebank: Path, part: str) -> list[Doc]:
    """The sentences of one part (train, dev, test) as spaCy documents with gold annotation, UPOS without features.

    FileNotFoundError, with where to get the treebank, if it is not there.
    """
    from spacy.training.converters import conllu_to_docs

    path = treebank / PARTS[part]
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no treebank here; get UD English EWT from {TREEBANK_SOURCE} and pass its folder (TREEBANK=…)"
        )
    docs = list(conllu_to_docs(path.read_text(encoding="utf-8"), n_sents=1, no_print=True))
    for doc in docs:
        for token in doc:
            token.set_morph("")
    return docs


def harvest(docs: Sequence[Doc]) -> tuple[list[str], list[str]]:
    """Singular nouns and attributive adjectives of the treebank, to widen the captions' lexicon."""
    nouns: Counter[str] = Counter()
    adjectives: Counter[str] = Counter()
    for doc in docs:
        for token in doc:
            word = token.text
            if not (word.islower() and word.isascii() and word.isalpha() and 3 <= len(word) <= 13):
                continue
            if token.tag_ == "NN" and token.pos_ == "NOUN":
                nouns[word] += 1
            elif token.tag_ == "JJ" and token.dep_ == "amod" and word not in _QUANTIFIERS:
                adjectives[word] += 1
    return sorted(w for w, n in nouns.items() if n > 1), sorted(w for w, n in adjectives.items() if n > 1)


def caption_docs(nlp: Language, seed: int, nouns: Sequence[str], adjectives: Sequence[str]) -> Iterator[Doc]:
    """Template captions without end. One that spaCy's tokenizer splits otherwise is left out."""
    from spacy.tokens import Doc

    from lab.training.parser_grammar import Grammar
    from lab.training.parser_trees import written

    grammar = Grammar(seed, nouns, adjectives)
    while True:
        rows = grammar.caption()
        if len(rows) > 80:
            continue
        text, spaces = written(rows)
        if [token.text for token in nlp.tokenizer(text)] != [row.word for row in rows]:
            continue
        yield Doc(
            nlp.vocab,
            words=[row.word for row in rows],
            spaces=spaces,
            tags=[row.tag for row in rows],
            pos=[row.pos for row in rows],
            heads=[row.head for row in rows],
            deps=[row.dep for row in rows],
        )


def groups(docs: Sequence[Doc], rng: random.Random) -> Iterator[Doc]:
    """The treebank's sentences, in its order from a random start, joined one to three at a time."""
    from spacy.tokens import Doc

    starts = list(range(0, len(docs), 3))
    rng.shuffle(starts)
    for start in starts:
        rest = list(docs[start : start + 3])
        while rest:
            size = rng.choices((1, 2, 3), (6, 3, 1))[0]
            taken, rest = rest[:size], rest[size:]
            yield taken[0] if len(taken) == 1 else Doc.from_docs(taken, ensure_whitespace=True)


def lower_cased(nlp: Language, doc: Doc) -> Doc:
    """The same sentence without capitals, as captions are typed."""
    from spacy.tokens import Doc

    return Doc(
        nlp.vocab,
        words=[token.text.lower() for token in doc],
        spaces=[bool(token.whitespace_) for token in doc],
        tags=[token.tag_ for token in doc],
        pos=[token.pos_ for token in doc],
        heads=[token.head.i for token in doc],
        deps=[token.dep_ for token in doc],
    )


def examples(nlp: Language, docs: Sequence[Doc], seed: int) -> Iterator[Example]:
    """Training examples without end: the treebank again and again, captions in between; 30 % in lower case."""
    from spacy.training import Example

    rng = random.Random(seed)  # noqa: S311 - not for secrets
    captions = caption_docs(nlp, seed, *harvest(docs))
    while True:
        for gold in groups(docs, rng):
            while rng.random() < CAPTIONS:
                caption = next(captions)
                yield Example(nlp.make_doc(caption.text), caption)
            if rng.random() < 0.3:
                gold = lower_cased(nlp, gold)
            yield Example(nlp.make_doc(gold.text), gold)


def batches(stream: Iterator[Example], words: int) -> Iterator[list[Example]]:
    batch: list[Example] = []
    size = 0
    for example in stream:
        batch.append(example)
        size += len(example.reference)
        if size >= words:
            yield batch
            batch, size = [], 0


# ---- the optimiser's state between runs


def _parameters(nlp: Language) -> dict[tuple[int, str], str]:
    """A name for each weight that is the same in every process: component, place in it, name."""
    names: dict[tuple[int, str], str] = {}
    for component, pipe in nlp.pipeline:
        for index, node in enumerate(pipe.model.walk()):  # type: ignore[attr-defined]
            for name in node.param_names:
                names.setdefault((node.id, name), f"{component}/{index}/{name}")
    return names


def save_state(folder: Path, nlp: Language, optimizer: Any, step: int, seconds: float) -> None:
    """Weights, optimiser moments and averages, and the step: what `train` goes on from."""
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    nlp.to_disk(folder / "pipeline")
    names = _parameters(nlp)
    arrays: dict[str, Any] = {}
    for kind in ("mom1", "mom2", "averages"):
        for key, value in getattr(optimizer, kind).items():
            if key in names:
                arrays[f"{kind}|{names[key]}"] = np.asarray(value)
    for key, count in optimizer.nr_update.items():
        if key in names:
            arrays[f"nr_update|{names[key]}"] = np.asarray(count)
    partial = folder / "optimizer.npz.partial"
    with partial.open("wb") as stream:
        np.savez(stream, **arrays)
    partial.replace(folder / "optimizer.npz")
    (folder / "step.json").write_text(json.dumps({"step": step, "seconds": seconds}))


def load_state(folder: Path, nlp: Language, optimizer: Any) -> tuple[int, float]:
    """Takes up what `save_state` left; the step and the seconds trained so far."""
    import numpy as np

    nlp.from_disk(folder / "pipeline")
    keys = {name: key for key, name in _parameters(nlp).items()}
    with np.load(folder / "optimizer.npz", allow_pickle=False) as arrays:
        for entry in arrays.files:
            kind, name = entry.split("|")
            if name in keys:
                value = arrays[entry]
                getattr(optimizer, kind)[keys[name]] = int(value) if kind == "nr_update" else value
    done = json.loads((folder / "step.json").read_text())
    return int(done["step"]), float(done["seconds"])


def write_pipeline(nlp: Language, out: Path) -> None:
    """The pipeline in spaCy's own layout, without the training words: hash embeddings need none of them,
    so the string store keeps only the labels."""
    nlp.to_disk(out)
    labels = {str(label) for _, pipe in nlp.pipeline for label in getattr(pipe, "labels", ())}
    labels |= {part for label in labels for part in label.split("||")} | {"ROOT"}
    labels |= {label.split("POS=")[1].split("|")[0] for label in labels if "POS=" in label}
    (out / "vocab" / "strings.json").write_text(json.dumps(sorted(labels), indent=1) + "\n", encoding="utf-8")


def scores(nlp: Language, docs: Sequence[Doc]) -> dict[str, float]:
    """UPOS, XPOS accuracy, UAS and LAS (punctuation left out, spaCy's scorer) on gold sentences from raw text."""
    from spacy.training import Example

    found = nlp.evaluate([Example(nlp.make_doc(doc.text), doc) for doc in docs])
    return {
        "upos": found["pos_acc"],
        "xpos": found["tag_acc"],
        "uas": found["dep_uas"],
        "las": found["dep_las"],
        "amod_f1": found["dep_las_per_type"].get("amod", {"f": 0.0})["f"],
    }


def train(
    treebank: Path,
    minutes: float | None,
    out: Path,
    *,
    steps: int = STEPS,
    seed: int = 0,
    checkpoint: Path | None = None,
    every: int = 500,
) -> dict[str, float]:
    """Trains the pipeline and writes it to `out`; the figures on the treebank's dev part.

    Stops after `steps` steps, or after `minutes` of wall time where given: the learning rate falls to nothing
    over whichever ends first. With `checkpoint`, a folder, it saves there every `every` steps and goes on from
    what it finds there.
    """
    import spacy
    from spacy.util import fix_random_seed
    from thinc.api import Adam

    fix_random_seed(seed)
    nlp = spacy.util.load_model_from_config(CONFIG, auto_fill=True)
    docs, dev = treebank_docs(treebank, "train"), treebank_docs(treebank, "dev")
    sample = list(islice(examples(nlp, docs, seed), 8000))
    nlp.initialize(lambda: sample)
    optimizer = Adam(0.001, beta1=0.9, beta2=0.999, L2=0.01, L2_is_weight_decay=True, grad_clip=1.0, use_averages=True)
    step, before = 0, 0.0
    if checkpoint is not None and (checkpoint / "step.json").is_file():
        step, before = load_state(checkpoint, nlp, optimizer)
        log.info("goes on from step %d", step)
    begun = time.monotonic() - before
    losses: dict[str, float] = {}
    for batch in batches(examples(nlp, docs, seed + step), BATCH_WORDS):
        elapsed = (time.monotonic() - begun) / 60
        done = max(step / steps, elapsed / minutes if minutes else 0.0)
        if done >= 1:
            break
        optimizer.learn_rate = 0.0012 * min(1.0, (step + 1) / 200) * max(1.0 - done, 0.02)
        nlp.update(batch, sgd=optimizer, drop=0.1, losses=losses)
        step += 1
        if step % every == 0:
            with nlp.use_params(optimizer.averages):
                figures = scores(nlp, dev[::5])
            log.info(
                "step %d, %.1f min, %.0f%% · loss %.0f · UPOS %.3f UAS %.3f LAS %.3f",
                step, elapsed, 100 * done, losses.get("parser", 0.0), figures["upos"], figures["uas"], figures["las"],
            )  # fmt: skip
            losses = {}
            if checkpoint is not None:
                save_state(checkpoint, nlp, optimizer, step, time.monotonic() - begun)
    with nlp.use_params(optimizer.averages):
        figures = scores(nlp, dev)
        nlp.meta.update(
            name="anyword_captions",
            version="1.0.0",
            license="CC BY-SA 4.0",
            description="tok2vec, tagger, morphologizer and parser for image captions, trained on UD English EWT "
            "and template captions",
            performance=figures,
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        write_pipeline(nlp, out)
    figures["minutes"] = (time.monotonic() - begun) / 60
    figures["steps"] = step
    return figures
