"""What a camera cannot see, by boxes: known without LIBERO."""

import numpy as np

from pirig.sim.libero.sight import Window

WINDOW = Window(left=-0.5, right=0.25, low=-0.3, high=0.4)


def test_a_box_of_which_a_point_is_in_the_window_is_never_left_out():
    rng = np.random.default_rng(0)
    middles_m = rng.uniform(-2, 2, (4000, 3))
    rotations = np.linalg.qr(rng.normal(size=(4000, 3, 3)))[0]
    halves_m = rotations * rng.uniform(0.01, 0.5, (4000, 1, 3))
    missed = WINDOW.misses(middles_m, halves_m)
    within = rng.uniform(-1, 1, (4000, 200, 3))
    points_m = middles_m[:, None] + np.einsum("gij,gpj->gpi", halves_m, within)
    x, y = points_m[..., 0] / -points_m[..., 2], points_m[..., 1] / -points_m[..., 2]
    seen = (points_m[..., 2] < 0) & (x > -0.5) & (x < 0.25) & (y > -0.3) & (y < 0.4)
    assert not missed[seen.any(1)].any()
    assert missed[~seen.any(1)].mean() > 0.8 and seen.any(1).sum() > 100


def test_a_small_box_is_left_out_beyond_each_side_and_behind_the_camera():
    at_m = np.array(
        [[0, 0, -1.0], [-0.6, 0, -1], [0.35, 0, -1], [0, -0.4, -1], [0, 0.5, -1], [0, 0, 1], [-0.45, 0, -1]]
    )
    halves_m = np.repeat(0.02 * np.eye(3)[None], len(at_m), axis=0)
    assert WINDOW.misses(at_m, halves_m).tolist() == [False, True, True, True, True, True, False]
