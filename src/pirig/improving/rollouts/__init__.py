"""`pirig rollouts RUN`: the policy's own episodes, successes and failures, as a data set."""
