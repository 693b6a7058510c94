"""PyInstaller's way in: it asks each installed package for the folder of its hooks."""

from __future__ import annotations

import os


def get_hook_dirs() -> list[str]:
    """Return the folder of `hook-gatewise.py`, which PyInstaller runs when an application imports gatewise."""
    return [os.path.dirname(__file__)]
