#!/usr/bin/env bash
# Which tower sees better, and what noise on the state costs, at the size of `make demo`: three arms a task, on 100 scenes each.
# The towers are compared with that noise, as they were first.
#   launchers/keypoints_or_patches.sh push_cube pick_cube place_sphere pull_cube
# What is finished is not done again; pirig compare outputs/keypoints_or_patches shows it.
set -euo pipefail
arm() {
  "${PIRIG:-pirig}" pipeline experiment=quickstart_eyes "task=$1" run.experiment=keypoints_or_patches "run.name=$1-$2" \
    run.mode=resume eval.episodes=100 "${@:3}"
}
for task in "$@"; do
  arm "$task" keypoints train.state_noise=1
  arm "$task" patches tower=siglip train.state_noise=1 'tower.warm_up.turns=${task.turns}' 'tower.warm_up.unseen=${task.unseen}' 'tower.warm_up.alike=${task.alike}'
  arm "$task" no_state_noise train.state_noise=0
done
