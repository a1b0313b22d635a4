"""What holds for all tests."""

import logging
import os

# Before torch is imported: tests run side by side, on models of no size.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ANYWORD_THREADS", "1")

import pytest
import shape_checks
from hypothesis import HealthCheck, settings

shape_checks.install()

# An example may take seconds where other work has the processor; how long one takes is no property of the code.
settings.register_profile("anyword", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("anyword")


@pytest.fixture(autouse=True)
def quiet_after_a_command():
    """A command called in the process leaves its handler behind, on a stream that pytest closes after the test."""
    yield
    logging.getLogger("anyword").handlers.clear()


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def driver(downloads):
    """A browser that keeps what it downloads there."""
    from browser import browser

    with browser(downloads=downloads) as one:
        yield one
