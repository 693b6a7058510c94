"""How fast gatewise is, beside its rivals: `python -m bench`. Nothing of the package depends on it."""
