"""`pirig serve RUN | CHECKPOINT | weights.path=FOLDER ...`: the policy behind a websocket, in openpi's protocol.

  pirig serve RUN                      the newest checkpoint of a run
  pirig serve RUN/checkpoints/1900     a chosen one, or one that was copied elsewhere
  pirig serve weights.path=FOLDER task=push_cube model=pi05 size=full     a checkpoint of openpi's: the config's contract,
                                       its own norm stats or those of weights.norm_stats=..., as `pirig eval` measures it
  pirig serve RUN serve.port=9000 eval.flow_steps=5
  pirig serve RUN serve.rtc=true       requests may bring the chunk that is underway (real-time chunking)
  pirig serve RUN eval.best_of=8 eval.critic=FOLDER     of 8 chunks the one that a critic values most (docs/improving.md)
  PIRIG_API_KEY=SECRET pirig serve RUN serve.host=0.0.0.0

Clients: openpi-client's WebsocketClientPolicy, `pirig client`. Layouts of a request (found by their keys): ours, libero,
droid, aloha. Plain HTTP: /healthz (200 once compiled), /metrics (Prometheus). SIGTERM finishes what runs.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pirig.config.schema import Config

if TYPE_CHECKING:
    from collections.abc import Callable

    from pirig.config.places import Places
    from pirig.policies.policy import Policy
    from pirig.serving.batches import Predict

API_KEY = "PIRIG_API_KEY"


def run(config: Config) -> int:
    """Of a run's config, or of one given whole."""
    from pirig.config.places import ASSETS, places_of
    from pirig.contract import Contract, require_equal
    from pirig.evaluation.on_given import given_weights
    from pirig.runs.progress import chosen_checkpoint

    places = places_of(config)
    if source := given_weights(config, places):
        return _serve_given(config, places, source)
    checkpoint = chosen_checkpoint(config, places.run)
    trained = Contract.load(checkpoint / ASSETS)
    require_equal(places.contract, trained, our_name="this config", their_name=f"checkpoint {checkpoint}")
    return _serve(config, checkpoint, with_run=True)


def alone(checkpoint: Path, overrides: list[str]) -> int:
    """A checkpoint that lies without its run: what its own card and contract say is all that is known of it."""
    from pirig.config.load import compose

    return _serve(compose(overrides), checkpoint, with_run=False)


def _serve_given(config: Config, places: Places, source: Path) -> int:
    """Weights that no run of this config trained. Raises ValueError where they, their statistics and the config do not fit."""
    from pirig.evaluation.on_given import open_given
    from pirig.gates.finding import require_good, run_gates
    from pirig.gates.policy import state_reaches_model
    from pirig.serving.server import require_cameras

    _require_guarded(config)
    require_cameras(config.serve.cameras, [camera.role for camera in places.contract.cameras])
    given = open_given(config, places, source)
    print("\n".join(given.lines()), flush=True)
    asked = {"state_reaches_model": lambda: state_reaches_model(given.pipeline)}
    require_good(run_gates(asked, config.gates.skip), "serving")
    policy = given.policy(flow_steps=config.eval.flow_steps, batch_size=config.serve.max_batch)
    return _until_stopped(config, _chosen(config, policy, given.folder), given.folder)


def _require_guarded(config: Config) -> None:
    """Before minutes of loading."""
    from pirig.serving.server import require_guarded, require_port

    require_guarded(config.serve.host, os.environ.get(API_KEY, ""))
    require_port(config.serve.host, config.serve.port)


def _serve(config: Config, checkpoint: Path, *, with_run: bool) -> int:
    """Until SIGTERM or Ctrl-C. Raises GateError where the policy would not act as it was trained."""
    from pirig.config.places import ASSETS
    from pirig.contract import Contract
    from pirig.gates.finding import require_good, run_gates
    from pirig.gates.policy import gates
    from pirig.policies.card import PolicyCard
    from pirig.policies.policy import load_pipeline, load_policy
    from pirig.serving.server import require_cameras

    _require_guarded(config)
    card, contract = PolicyCard.load(checkpoint), Contract.load(checkpoint / ASSETS)
    require_cameras(config.serve.cameras, [camera.role for camera in contract.cameras])
    asked = gates(load_pipeline(checkpoint), card, config if with_run else None)
    require_good(run_gates(asked, config.gates.skip), "serving")
    policy = load_policy(checkpoint, flow_steps=config.eval.flow_steps, batch_size=config.serve.max_batch)
    return _until_stopped(config, _chosen(config, policy, checkpoint), checkpoint)


def _chosen(config: Config, policy: Policy, checkpoint: Path) -> Policy:
    """With the critic of eval.critic, where one is asked for."""
    if config.eval.best_of == 1 and not config.eval.head:
        return policy
    from pirig.evaluation.target import digest_of
    from pirig.policies.best_of import chosen_by_critic

    best = f"best of     {config.eval.best_of} chunks, by the critic in {config.eval.critic}"
    print(f"head        {config.eval.head}" if config.eval.head else best, flush=True)
    return chosen_by_critic(policy, config.eval, digest_of(checkpoint))


def _until_stopped(config: Config, policy: Policy, checkpoint: Path) -> int:
    _listen(config, policy, checkpoint)
    print("stopped     every request that had come in is answered", flush=True)
    return 0


def _listen(config: Config, policy: Policy, checkpoint: Path) -> None:
    from pirig.runs.hardware import cores
    from pirig.serving.batches import Batches, predictor
    from pirig.serving.checkpoint import metadata, warm
    from pirig.serving.server import Limits, PolicyServer, Served

    settings, predict = config.serve, predictor(policy)
    pipeline = policy.pipeline
    about, by_task = metadata(policy, checkpoint, rtc=settings.rtc), bool(pipeline.stats_of)
    served = Served(pipeline.contract, policy.noise_shape, about, settings.seed, by_task=by_task, rtc=settings.rtc)
    limits = Limits(message_mib=settings.message_mib, clients=settings.clients)

    def warmed() -> None:
        started_s = time.monotonic()
        warm(predict, policy, rtc=settings.rtc)
        print(f"ready       after {time.monotonic() - started_s:.0f} s", flush=True)

    if settings.protocol == "vla_eval":
        _listen_to_harness(config, policy, checkpoint, warmed, predict)
        return
    alone = policy.rows_a_call == 1  # then calls go side by side in place of rows
    calls = min(settings.max_batch, cores()) if alone else 1
    with Batches(predict, max_batch=policy.rows_a_call, max_wait_s=settings.max_wait_ms / 1e3, calls=calls) as batches:
        server = PolicyServer(batches, served, api_key=os.environ.get(API_KEY, ""), limits=limits)

        def say(port: int) -> None:
            _say_started(policy, checkpoint, settings.host, port)
            print("compiling   clients may connect, they wait", flush=True)

        asyncio.run(server.run(settings.host, settings.port, started=say, warm=warmed))


def _listen_to_harness(
    config: Config, policy: Policy, checkpoint: Path, warmed: Callable[[], None], predict: Predict
) -> None:
    from pirig.serving.server import LOOPBACK
    from pirig.serving.vla_eval import HarnessServer, listen

    settings, contract = config.serve, policy.pipeline.contract
    if settings.host not in LOOPBACK:
        raise ValueError(f"serve.host={settings.host}: vla-eval's protocol has no key; serve on 127.0.0.1")
    warmed()  # its health probe answers as soon as it listens
    server = HarnessServer(
        predict,
        contract,
        policy.noise_shape,
        cameras=settings.cameras,
        execute=config.eval.execute,
        max_batch=settings.max_batch,
        max_wait_s=settings.max_wait_ms / 1e3,
        seed=settings.seed,
    )
    _say_started(policy, checkpoint, settings.host, settings.port)
    asyncio.run(listen(server, settings.host, settings.port))


def _say_started(policy: Policy, checkpoint: Path, host: str, port: int) -> None:
    contract = policy.pipeline.contract
    cameras = ", ".join(f"{camera.role} {camera.width_px} x {camera.height_px}" for camera in contract.cameras)
    print(f"serving     {checkpoint} on ws://{host}:{port}")
    print(
        f"contract    {contract.hash}: {cameras}; state {contract.state_dim}, actions {policy.horizon} x {contract.action_dim}",
        flush=True,
    )
