#!/usr/bin/env bash
# LoRA on one GPU against full fine-tuning on eight: one sweep, two resource classes.
set -euo pipefail
sweep() {
  "${PIRIG:-pirig}" pipeline -m hydra/launcher=slurm run.experiment=lora_or_full sweep.wait=false task=stack_cube \
    camera=wrist horizon=20 model=pi05 size=full weights=pi05_base train.batch_size=32 train.steps=30000 "$@"
}
sweep finetune=lora,lora_light fsdp=1 train.seed=0,1 "$@"
sweep finetune=full fsdp=8 train.seed=0,1 "$@"
