"""Are the numbers right? Gradients against differences, and another runtime's answers against the equations."""
