"""What holds for all tests."""

from hypothesis import settings

# An example may take seconds where other work has the processor; how long one takes is no property of the code.
settings.register_profile("anyword", deadline=None)
settings.load_profile("anyword")
