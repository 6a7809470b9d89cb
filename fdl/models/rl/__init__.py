"""Networks of reinforcement learning: policies, critics, Q-networks."""
