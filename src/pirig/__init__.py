"""pirig: from robot demonstrations to a pi0 / pi0.5 policy with a measured success rate."""

__version__ = "0.1.0"
