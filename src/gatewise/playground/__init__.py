"""A web page to play with: Python assembles it, and the modules, the style and the markup lie in assets/."""
