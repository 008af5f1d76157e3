#!/usr/bin/env bash
# What each change of experiment=eyes is worth, and the noise that it has from blind policies: left out once, and the two that teach
# the labels together, with the same budget, on stack_cube or the task that is named first.
#   launchers/eyes_ablation.sh stack_cube camera=close_wrist train.steps=1500 train.scenes_per_batch=8 train.idle_steps=1
# Words behind it go to every run. What is finished is not done again; pirig compare outputs/eyes_ablation shows it.
set -euo pipefail
task=${1:-stack_cube}
shift || true
words=("$@")
arm() {
  "${PIRIG:-pirig}" pipeline experiment=eyes "task=$task" run.experiment=eyes_ablation "run.name=$task-$1" run.mode=resume \
    tower.warm_up.steps=3000 eval.episodes=100 eval.untrained_episodes=20 "${words[@]}" "${@:2}"
}
arm whole
arm no_warm_up tower.warm_up.steps=0
arm no_label_loss '~losses' train.scenes_per_batch=0
arm no_warm_up_no_label_loss tower.warm_up.steps=0 '~losses' train.scenes_per_batch=0
arm patches_for_keypoints tower=siglip 'tower.warm_up.turns=${task.turns}' 'tower.warm_up.unseen=${task.unseen}' 'tower.warm_up.alike=${task.alike}' tower.warm_up.peak_lr=0.002
arm usual_starts demos.start_spread_rad=0
arm no_state_noise train.state_noise=0
