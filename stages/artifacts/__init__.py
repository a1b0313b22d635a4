"""The formats between stages: tables, maps, manifests; atomic writes, checksums, fingerprints, seeds."""

from stages.artifacts.errors import AnywordError, ArtifactError, SampleError
from stages.artifacts.manifest import ModelRecord, Stage
from stages.artifacts.shard_reader import ShardReader
from stages.artifacts.shard_writer import Failure, Outcome, Result, ShardWriter, attempt, unchanged

__all__ = [
    "AnywordError",
    "ArtifactError",
    "Failure",
    "ModelRecord",
    "Outcome",
    "Result",
    "SampleError",
    "ShardReader",
    "ShardWriter",
    "Stage",
    "attempt",
    "unchanged",
]
