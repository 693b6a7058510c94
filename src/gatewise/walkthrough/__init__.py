"""Walkthroughs: a step of a cell line by line, as parts that every format renders."""
