"""Another robot of the simulator: a line that names it, one for its joints, and YAML values. Its demos come from a file."""

import numpy as np

from pirig.config import checks, state_entries
from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.config.state_entries import Owner, StateEntry
from pirig.sim.door import open_simulator
from pirig.transforms.state import build_state

ROBOT = ["robot.name=so100", "robot.uid=so100", "robot.wrist_uid=so100", "state.entries=[so100]"]
CONTROL = ["control.mode=pd_joint_delta_pos", "control.action_dim=6", "control.layout=j1 j2 j3 j4 j5 gripper"]
TASK = ["task=push_cube", "task.env_id=PickCube-v1", "camera.resolution_px=32"]


def test_two_lines_and_a_yaml_add_a_robot(monkeypatch):
    monkeypatch.setitem(state_entries.STATE_ENTRIES, "so100", StateEntry("qpos", 6 * ("rad",), Owner.simulator))
    monkeypatch.setattr(checks, "ROBOTS", (*state_entries.ROBOTS, "so100"))
    contract = contract_of(compose([*TASK, *ROBOT, *CONTROL]))
    sim = open_simulator(contract)
    sim.reset(0)
    before = build_state(contract.state, sim.sense())
    for _ in range(5):
        sim.step(np.array([1, 0, 0, 0, 0, 0], np.float32))
    shown = sim.observe()
    after = build_state(contract.state, shown.numbers)
    sim.close()
    assert contract.state_dim == 6 and before.shape == (6,)
    assert np.abs(after - before)[0] > 0.05 > np.abs(after - before)[1:].max()  # one joint was told to move
    assert shown.images["base_0_rgb"].std() > 5
