"""What all tests share."""

from hypothesis import settings

# The first example pays for imports and compilation, and several people share the machine: no timed assertions.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
