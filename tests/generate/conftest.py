"""Models that this room's files share."""

from generate_models import odd, smollm2, tiny  # noqa: F401
