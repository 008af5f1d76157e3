"""What LIBERO offers at the door; imports nothing heavy."""

from __future__ import annotations

import importlib.util
import os

from pirig.contract import Contract
from pirig.sim.door import Scenes, Simulator
from pirig.sim.libero.places import place_of

INSTALL = "python -m pip install -c constraints.txt -e '.[libero]' (or `make libero`)"


class Libero:
    def missing(self) -> str:
        if importlib.util.find_spec("libero") is None:
            return f"LIBERO is not installed here; {INSTALL} installs it"
        return ""

    def missing_scenes(self) -> str:
        return "eval.sim_backend=gpu: LIBERO simulates on the CPU; use eval.sim_backend=cpu."

    def probe(self) -> tuple[bool, str]:
        if missing := self.missing():
            return False, missing
        self.prepare()
        try:
            import mujoco

            model = mujoco.MjModel.from_xml_string(LIT_BOX)
            data = mujoco.MjData(model)
            mujoco.mj_forward(model, data)
            with mujoco.Renderer(model, 32, 32) as renderer:
                renderer.update_scene(data)
                seen = float(renderer.render().std())
        except Exception as error:  # of many kinds, by the driver that is missing
            return False, f"MuJoCo cannot render here ({error}); install Mesa's EGL (libegl1), or give MUJOCO_GL=osmesa"
        return seen > 1.0, f"MuJoCo renders by {os.environ['MUJOCO_GL']}" + (
            "" if seen > 1.0 else ", but one flat colour"
        )

    def prepare(self) -> None:
        """One thread a process: several processes share the cores. Renders without a display unless the caller chose how."""
        os.environ.setdefault("MUJOCO_GL", "egl")
        for name in ("OMP_NUM_THREADS", "LP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, "1")

    def open(self, contract: Contract) -> Simulator:
        if missing := self.missing():
            raise ValueError(f"simulator libero: {missing}.")
        from pirig.sim.libero.env import LiberoEnv

        return LiberoEnv(contract)

    def open_scenes(self, contract: Contract, num_envs: int) -> Scenes:
        raise ValueError(self.missing_scenes())

    def group(self, contract: Contract, scene: int) -> int:
        """See `door.Grouped`: its task, since opening one takes ten seconds and memory that is not given back."""
        return place_of(scene, len(contract.scenes)).task


LIT_BOX = (
    """<mujoco><worldbody><light pos="0 0 3"/><geom type="box" size="1 1 1" rgba="1 .2 .1 1"/></worldbody></mujoco>"""
)
