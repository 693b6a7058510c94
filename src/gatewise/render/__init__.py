"""The formats of a walkthrough: each renders the same parts."""
