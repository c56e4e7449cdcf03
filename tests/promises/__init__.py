"""One file for each promise of the design, named after it, on whole rollouts in the sandbox."""
