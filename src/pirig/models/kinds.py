"""Which flow model there is to choose: pi0 and pi0.5, of one implementation; their difference is in the model's config."""

from __future__ import annotations

from pirig.models import pi0
from pirig.models.flow import FlowModel
from pirig.models.scratch import fresh_params, look_at_state


def flow_model() -> FlowModel:
    return FlowModel(
        fresh_params,
        pi0.compute_loss,
        pi0.draw_noise_and_time,
        pi0.sample_actions,
        pi0.encode_images,
        pi0.sample_with_features,
        look_at_state,
    )
