import pytest

from pirig.contract import RECORDED, Camera, Contract, TaskScene
from pirig.robots.clock import JumpingClock
from pirig.robots.simulated import ROLES, SimulatedGen3


@pytest.fixture
def clock():
    return JumpingClock()


@pytest.fixture
def robot(clock):
    return SimulatedGen3(clock=clock)


@pytest.fixture(scope="session")
def contract():
    """Of a recorded Kinova, with the simulated arm's cameras; 10 Hz."""
    return Contract(
        scenes=(TaskScene("", "Put the mug away"),),
        robot_uid="kinova_gen3",
        control_mode="joint_position",
        control_hz=10,
        sim_hz=0,
        sim_backend="",
        shader="",
        cameras=tuple(Camera(role, role, 64, 48) for role in ROLES),
        state=("joints7", "gripper1"),
        state_dim=8,
        action_dim=8,
        action_layout="j1 j2 j3 j4 j5 j6 j7 gripper",
        gripper_open=0.0,
        image_px=64,
        fps=10,
        angle_center_rad=(0.0,) * 7,
        simulator=RECORDED,
    )
