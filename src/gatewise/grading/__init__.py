"""A person's own numbers against the equations: which is the first wrong one, and why."""
