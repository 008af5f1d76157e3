#!/usr/bin/env bash
# StackCube: is it the horizon or the wrist camera? Each with the other held, three seeds, so that noise can be told apart:
# pirig runs outputs/stack_cube_ablation, then pirig compare outputs/stack_cube_ablation.
set -euo pipefail
exec "${PIRIG:-pirig}" pipeline -m hydra/launcher=slurm run.experiment=stack_cube_ablation sweep.wait=false \
  task=stack_cube horizon=20,50 camera=wrist,nowrist train.seed=0,1,2 model=pi0 size=full weights=pi0_base finetune=full \
  fsdp=8 train.batch_size=256 train.steps=30000 eval.episodes=100 "$@"
