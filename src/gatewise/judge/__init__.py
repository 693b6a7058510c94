"""A referee for other engines: generated cells run through an engine, and its differences are explained."""
