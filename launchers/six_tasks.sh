#!/usr/bin/env bash
# The six ManiSkill tasks, one pi0.5 each. Words after it go to pirig: sweep.dry_run=true, train.steps=20000,
# hydra.launcher.partition=gpu, train.seed=0,1,2, ... The same command again starts what is missing.
set -euo pipefail
sweep() {
  "${PIRIG:-pirig}" pipeline -m hydra/launcher=slurm run.experiment=six_tasks sweep.wait=false model=pi05 size=full \
    weights=pi05_base finetune=lora camera=wrist horizon=20 train.steps=30000 "$@"
}
sweep task=push_cube,pull_cube,stack_cube,place_sphere,peg_insertion_side "$@"
sweep task=pick_cube state=joints_goal "$@"  # no camera sees its goal
