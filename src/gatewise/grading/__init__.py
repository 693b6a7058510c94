"""Numbers worked out by hand, compared with the equations: which is the first wrong one, and why."""
