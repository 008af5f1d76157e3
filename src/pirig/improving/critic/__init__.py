"""A critic on a flow-matching policy: how much an action chunk is worth, and what is made of knowing it.

It learns from rows (`improving.transitions`) and from chunks that the policy was sampled for each of them once, so that the
policy itself never runs while anything here trains.
"""
