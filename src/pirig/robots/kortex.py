"""A Kinova Gen3 through the vendor's kortex_api, written against its public interface. NOT TRIED: nobody here has the arm.

Joints are moved by speeds that aim at the newest target (the arm's own velocity mode, with its own limits), so an arm that is
told nothing more stands still within a few steps. How to try it: docs/kinova.md.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from pirig.robots.door import Reading

TCP_PORT = 10000
GAIN_1_S = 4.0  # speed per distance to the target
MOST_RAD_S = 0.8
ROLES = ("base_0_rgb", "left_wrist_0_rgb")


class KortexGen3:
    """`cameras`: for each role what OpenCV opens (a device's number or an address)."""

    def __init__(self, address: str, user: str, password: str, cameras: dict[str, Any]):
        try:
            from kortex_api.autogen.client_stubs.BaseClientRpc import BaseClient
            from kortex_api.autogen.client_stubs.BaseCyclicClientRpc import BaseCyclicClient
            from kortex_api.autogen.messages import Base_pb2, Session_pb2
            from kortex_api.RouterClient import RouterClient
            from kortex_api.SessionManager import SessionManager
            from kortex_api.TCPTransport import TCPTransport
        except ImportError as error:
            raise ValueError(
                "robot=kortex needs Kinova's kortex_api (a wheel from the vendor, not on the registry): docs/kinova.md"
            ) from error
        self._messages, self._lock, self._stopped = Base_pb2, threading.Lock(), False
        self._transport = TCPTransport()
        router = RouterClient(self._transport, lambda error: None)
        self._transport.connect(address, TCP_PORT)
        login = Session_pb2.CreateSessionInfo()
        login.username, login.password = user, password
        login.session_inactivity_timeout, login.connection_inactivity_timeout = 60_000, 2_000
        self._session = SessionManager(router)
        self._session.CreateSession(login)
        self._base, self._cyclic = BaseClient(router), BaseCyclicClient(router)
        self._cameras = {role: _opened(source) for role, source in cameras.items()}

    def read(self) -> Reading:
        feedback = self._cyclic.RefreshFeedback()
        degrees = np.array([actuator.position for actuator in feedback.actuators])
        joints = (np.radians(degrees) + np.pi) % (2 * np.pi) - np.pi
        gripper = feedback.interconnect.gripper_feedback.motor[0].position / 100
        images = {role: _frame(camera, role) for role, camera in self._cameras.items()}
        return Reading(joints.astype(np.float32), float(gripper), images, time.monotonic())

    def command(self, target: np.ndarray) -> None:
        with self._lock:
            if self._stopped:
                return
            feedback = self._cyclic.RefreshFeedback()
            now = np.radians([actuator.position for actuator in feedback.actuators])
            apart = (np.asarray(target[:-1]) - now + np.pi) % (2 * np.pi) - np.pi
            self._speeds(np.clip(GAIN_1_S * apart, -MOST_RAD_S, MOST_RAD_S))
            self._grip(float(np.clip(target[-1], 0, 1)))

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            self._base.Stop()

    def close(self) -> None:
        self.stop()
        for camera in self._cameras.values():
            camera.release()
        self._session.CloseSession()
        self._transport.disconnect()

    def _speeds(self, rad_s: np.ndarray) -> None:
        speeds = self._messages.JointSpeeds()
        for joint, speed in enumerate(rad_s):
            entry = speeds.joint_speeds.add()
            entry.joint_identifier, entry.value, entry.duration = joint, float(np.degrees(speed)), 0
        self._base.SendJointSpeedsCommand(speeds)

    def _grip(self, closed: float) -> None:
        command = self._messages.GripperCommand()
        command.mode = self._messages.GRIPPER_POSITION
        finger = command.gripper.finger.add()
        finger.finger_identifier, finger.value = 1, closed
        self._base.SendGripperCommand(command)


def _opened(source: Any) -> Any:
    import cv2

    camera = cv2.VideoCapture(source)
    if not camera.isOpened():
        raise ValueError(f"camera {source}: cannot be opened; give a device's number or an address that OpenCV opens")
    return camera


def _frame(camera: Any, role: str) -> np.ndarray:
    import cv2

    whole, picture = camera.read()
    if not whole:
        raise ValueError(f"camera {role}: no picture came; is it plugged in, and does another program use it?")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def open_robot(address: str, *, user: str = "admin", password: str = "admin", cameras: Any = None) -> KortexGen3:
    """`cameras` {role: source}; None: the arm's own colour camera at the wrist, and device 0 over the workspace."""
    usual = dict(zip(ROLES, (0, f"rtsp://{address}/color"), strict=True))
    return KortexGen3(address, user, password, cameras or usual)
