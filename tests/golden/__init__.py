"""Numbers recorded from openpi, and the checker that holds our model to them."""
