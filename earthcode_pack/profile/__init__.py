"""The profile: what a person states because it cannot be measured (contract 4.2)."""

from earthcode_pack.profile.load import load_profile
from earthcode_pack.profile.model import Profile

__all__ = ["Profile", "load_profile"]
