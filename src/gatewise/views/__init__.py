"""Ways to look at a run: walkthroughs in words and numbers."""
