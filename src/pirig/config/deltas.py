"""Control modes whose first three numbers say how far the hand is to go, along the axes in which a state tells its place."""

UNIT_M = {"osc_pose_delta": 0.05}  # what 1 of them is (robosuite's OSC_POSE)
PLACE = "eef_pos"  # that place's array, see `state_entries`
