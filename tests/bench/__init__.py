"""How long the engine takes, and how much a rollout costs: `make bench-table` prints it."""
