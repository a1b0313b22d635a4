"""What holds for all tests."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: tests run side by side, on models of no size

import shape_checks
from hypothesis import HealthCheck, settings

shape_checks.install()

# An example may take seconds where other work has the processor; how long one takes is no property of the code.
settings.register_profile("anyword", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("anyword")
