"""What the server counts, in Prometheus' text format under /metrics. No label holds anything that a client sends."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "pirig_requests", "answered requests", ["outcome"], registry=self.registry
        )  # ok, refused (a client's fault), failed (ours)
        self.seconds = Histogram(
            "pirig_request_seconds", "from a request's arrival to its answer", buckets=SECONDS, registry=self.registry
        )
        self.batch = Histogram("pirig_batch_size", "requests in a model call", buckets=BATCHES, registry=self.registry)
        self.clients = Gauge("pirig_clients", "open connections", registry=self.registry)
        for outcome in ("ok", "refused", "failed"):
            self.requests.labels(outcome)

    def text(self) -> bytes:
        return generate_latest(self.registry)
