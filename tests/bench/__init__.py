"""How long the engine takes, and how much a rollout costs: `make bench` prints it."""
