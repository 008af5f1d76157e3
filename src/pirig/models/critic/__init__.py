"""How much an action chunk is worth: a critic as it is asked, and the small heads that it improves. They learn in
`pirig.improving.critic`. Imports nothing heavy."""

CRITIC_FILE, HEAD_FILE = "critic.npz", "head.npz"
