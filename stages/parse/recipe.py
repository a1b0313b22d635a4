"""What `parsers:` in the configuration may hold, one model a `kind`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, field_validator

from stages.artifacts.manifest import Stage
from stages.artifacts.recipes import Execution, Recipe, Weights

STAGE = Stage(name="parse", version="5")
EMBEDDED_PIPELINE = "models/parser"
"""Where this project's own pipeline lies, below the repository."""


class SpacyParser(Recipe):
    """A spaCy pipeline and the extraction of `extract.py`; UD and ClearNLP labels are both understood."""

    MODULE: ClassVar = "stages.parse.spacy_pipeline"

    kind: Literal["spacy"] = "spacy"
    pipeline: Annotated[str, Weights(EMBEDDED_PIPELINE)] = Field(
        "embedded",
        min_length=1,
        description="'embedded' is this project's own small pipeline (models/parser); otherwise an installed "
        "pipeline by name (en_core_web_sm, en_core_web_trf) or the folder of one.",
    )


class TruthParser(Recipe):
    """The dataset's own phrases, as its reader found them."""

    MODULE: ClassVar = "stages.parse.truth"

    kind: Literal["truth"] = "truth"
    required: bool = Field(
        False, description="Fail a sample that brings no phrases of its own, instead of giving it none."
    )


class VocabularyParser(Recipe):
    """A list of class names as phrases, wherever they occur in the text (open-vocabulary segmentation)."""

    MODULE: ClassVar = "stages.parse.vocabulary"

    kind: Literal["vocabulary"] = "vocabulary"
    classes: dict[str, list[str]] = Field(
        min_length=1,
        description="Class name to its aliases, itself included or not: {sofa: [couch], traffic light: []}. Found as "
        "whole words, longest first; plurals with -s and -es too.",
    )
    plurals: bool = Field(True, description="Also find a name with -s or -es behind it.")

    @field_validator("classes")
    @classmethod
    def _named(cls, classes: dict[str, list[str]]) -> dict[str, list[str]]:
        owner: dict[str, str] = {}
        for name, aliases in classes.items():
            for word in (name, *aliases):
                key = " ".join(word.lower().split())
                if not key:
                    raise ValueError(f"class '{name}' has an empty name or alias")
                if owner.setdefault(key, name) != name:
                    raise ValueError(f"'{word}' names both '{owner[key]}' and '{name}'")
        return classes


class NltkParser(Recipe):
    """NLTK's tagger and a chunk grammar: nouns and adjectives, no attachment beyond the chunk, few predicates."""

    MODULE: ClassVar = "stages.parse.nltk_chunks"

    kind: Literal["nltk"] = "nltk"
    data: str | None = Field(
        None,
        description="Folder with NLTK's data (taggers/averaged_perceptron_tagger_eng); default: where NLTK looks "
        "(NLTK_DATA). Nothing is downloaded.",
    )


class OpenaiParser(Recipe):
    """A language model behind an OpenAI-compatible server. Its answer is data: only words of the text count."""

    MODULE: ClassVar = "stages.parse.openai_chat"

    kind: Literal["openai"] = "openai"
    model: str = Field("gpt-4o-2024-08-06", min_length=1, description="The model's name on the server.")
    base_url: str | None = Field(
        None,
        description="Server, e.g. http://localhost:8000/v1 (vLLM), http://localhost:11434/v1 (Ollama), "
        "https://NAME.openai.azure.com/openai/deployments/MODEL?api-version=… (Azure); null: OpenAI.",
    )
    api_key_env: Annotated[str, Execution()] = Field(
        "OPENAI_API_KEY",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Environment variable that holds the key; it is never written anywhere. A local server needs none.",
    )
    template: Literal["objects", "paper"] = Field(
        "objects",
        description="'objects' asks for every object with its attributes, verbs and the referred one; 'paper' is the "
        "paper's own prompt (F.1), for one referred object.",
    )
    structured: Literal["auto", "schema", "json"] = Field(
        "auto",
        description="'schema' asks the server to hold the answer to a JSON schema, 'json' asks for JSON in words; "
        "'auto' begins with the schema and falls back where the server refuses it.",
    )
    temperature: float = Field(0.0, ge=0.0, le=2.0, description="0 is as repeatable as the server allows.")
    max_tokens: int = Field(
        2048, ge=16, description="Longest answer; four times that with its thoughts, of a model that thinks first."
    )
    seed: int | None = Field(
        0,
        description="Sent along for servers that know it; null sends none. A second try, where "
        "an answer does not read, has the next one.",
    )
    price_in: Annotated[float, Execution()] = Field(
        0.0, ge=0.0, description="Price of a million prompt tokens, for the summed cost."
    )
    price_out: Annotated[float, Execution()] = Field(0.0, ge=0.0, description="Price of a million answer tokens.")
    concurrency: Annotated[int, Execution()] = Field(4, ge=1, le=256, description="Requests under way at once.")
    requests_per_minute: Annotated[float | None, Execution()] = Field(
        None, gt=0, description="At most this many; null: no limit."
    )
    timeout: Annotated[float, Execution()] = Field(60.0, gt=0, description="Seconds that one attempt may take.")
    retries: Annotated[int, Execution()] = Field(
        5, ge=0, le=20, description="Further attempts after 408, 409, 429, 5xx, a timeout or a lost connection, each "
        "after a longer wait (or the server's Retry-After)."
    )  # fmt: skip

    @field_validator("base_url")
    @classmethod
    def _plain(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must begin with http:// or https:// and name a host")
        strange = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)} - {"api-version"}
        if parts.username or parts.password or strange:
            raise ValueError("must hold no credentials (of a query, only api-version): the key is the environment's")
        return url
