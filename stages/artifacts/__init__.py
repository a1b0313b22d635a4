"""The formats between stages: tables, maps, manifests; atomic writes, checksums, fingerprints, seeds."""

from stages.artifacts.errors import AnywordError, ArtifactError, SampleError
from stages.artifacts.folder import Folder
from stages.artifacts.manifest import ModelRecord, Stage
from stages.artifacts.shard import Failure, Job, Outcome, Result, attempt

__all__ = [
    "AnywordError",
    "ArtifactError",
    "Failure",
    "Folder",
    "Job",
    "ModelRecord",
    "Outcome",
    "Result",
    "SampleError",
    "Stage",
    "attempt",
]
