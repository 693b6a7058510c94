"""Numbers worked out by hand, compared with the equations: the first mistake and its cause."""
