"""Policies behind a socket: requests in openpi's protocol, batched into model calls."""
