"""`pirig rollouts RUN [rollouts=NAME] [key=value ...]`: the policy's own episodes, successes and failures, as a data set.

  pirig rollouts RUN                             200 scenes that neither demos nor evaluations nor corrections use
  pirig rollouts RUN rollouts.scenes=400         200 more; what is there is kept
  pirig rollouts RUN rollouts=zero_one           a success brings 1 and a step costs nothing (else 10 and 0.05)
  pirig rollouts RUN eval.execute=4              how the policy acts: then these are other roll-outs
  pirig rollouts RUN run.checkpoint=RUN/checkpoints/500       of another checkpoint than the newest

RUN/rollouts/step.../lerobot is a LeRobot data set with next.reward, next.done and next.success, and of each frame the noise that
its chunk was sampled from and which of the chunk's actions it executed. An episode ends with its first success or at the step
limit. The same command goes on where it was stopped. docs/improving.md says more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pirig.stages import improve

if TYPE_CHECKING:
    from pirig.config.schema import Config
    from pirig.improving.rollouts.make import RolledOut


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    from pirig.config.arguments import run_of
    from pirig.config.load import of_run

    folder, words = run_of("rollouts", arguments)
    show(make(of_run(folder, words)))
    return 0


def make(config: Config) -> RolledOut:
    """Raises ValueError before anything starts where this policy cannot be rolled out here."""
    from pirig.gates.machine import require_driver, require_platforms
    from pirig.improving.rollouts import make as rollouts
    from pirig.runs.lock import held

    policy = improve.policy_of(config)
    rollouts.require(policy)
    require_platforms()
    require_driver()
    with held(policy.places.run):
        return rollouts.make(policy, config.rollouts.scenes)


def show(made: RolledOut) -> None:
    from pirig.comparison.statistics import wilson

    low, high = wilson(made.succeeded, made.episodes)
    print(f"roll-outs   {made.succeeded}/{made.episodes} succeeded  {low:.1%} to {high:.1%} (Wilson 95 %)")
    print(f"steps       {made.environment_steps} of the environment, {made.frames} frames kept")
    print(f"data set    {made.data_set}" + (", there already" if made.again else ""))
