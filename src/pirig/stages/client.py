"""`pirig client`: asks a policy server as a robot would, and measures it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

ABOUT = """\
Asks a policy server (pirig serve's, openpi's, any that speaks openpi's protocol) and measures it.

  pirig client                              random observations for ws://127.0.0.1:8000: latency, throughput, shapes
  pirig client ws://HOST:PORT --clients 8   eight clients at once
  pirig client --from DATASET               recorded frames: how far are the served actions from the recorded ones?
  pirig client ws://HOST:PORT --layout droid    a server of openpi's, which does not say what it wants

PIRIG_API_KEY is sent where it is set."""


def main(arguments: list[str]) -> int:
    from pirig.policies.layouts import named
    from pirig.stages.options import CLIENTS, COUNT, PATIENCE_S, Options

    parser = Options("pirig client", description=ABOUT)
    parser.add_argument("uri", nargs="?", default="ws://127.0.0.1:8000", help="address (default: %(default)s)")
    parser.add_argument("--count", type=COUNT, default=50, help="requests of each client (default: %(default)s)")
    parser.add_argument("--clients", type=CLIENTS, default=1, help="connections at once (default: %(default)s)")
    parser.add_argument("--layout", default="", help="how requests are written: ours, libero, droid, aloha")
    parser.add_argument("--from", dest="data_set", type=Path, help="a LeRobot data set of pirig's")
    parser.add_argument(
        "--wait", type=PATIENCE_S, default=60.0, help="seconds to wait for the server (default: %(default)s)"
    )
    try:
        options = parser.read(arguments)
    except SystemExit as stop:  # argparse has printed help (0) or what is wrong (2)
        return int(stop.code or 0)
    if options.layout:
        named(options.layout)
    return _recorded(options) if options.data_set else _random(options)


def _random(options: argparse.Namespace) -> int:
    from pirig.policies.remote import Connection
    from pirig.serving.client import measure, repeats, requests_of

    key = os.environ.get("PIRIG_API_KEY", "")
    connections = [Connection(options.uri, key, options.wait).open() for _ in range(options.clients)]
    told = connections[0].metadata
    print(
        f"server      {options.uri}, {told.get('server', 'not pirig')}, contract {told.get('contract_hash', 'not said')}"
    )
    ask = requests_of(told, options.layout)
    measure(connections[:1], ask, 2)  # the first calls of a new shape compile
    for line in measure(connections, ask, options.count).lines():
        print(line)
    same = repeats(connections[0], ask)
    print(f"repeated    {'not asked: the server draws its own noise' if same is None else _words(same)}")
    for connection in connections:
        connection.close()
    return 0 if same in (True, None) else 1


def _words(same: bool) -> str:
    return "the same request gives the same actions" if same else "THE SAME REQUEST GIVES OTHER ACTIONS"


def _recorded(options: argparse.Namespace) -> int:
    """Raises ContractError where the server's policy is of another contract than the data set."""
    from pirig.datasets.in_place import open_folder
    from pirig.evaluation.on_server import errors, lines
    from pirig.policies.remote import RemotePolicy

    dataset = open_folder(options.data_set)
    key, layout = os.environ.get("PIRIG_API_KEY", ""), options.layout or "ours"
    policy = RemotePolicy(options.uri, dataset.contract, layout=layout, api_key=key, connections=options.clients)
    for line in lines(errors(policy, dataset, options.count), dataset.contract.action_layout.split()):
        print(line)
    policy.close()
    return 0
