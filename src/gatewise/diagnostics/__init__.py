"""Are the numbers right? Gradients against central differences, and another runtime's answers against the equations."""
