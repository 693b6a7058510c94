"""The rivals, one file each.

Each has ``WAYS``, the ways in which it does the tasks, and ``version()``. Only a process of its own imports it, so its
package is imported at the top.
"""

from __future__ import annotations

RIVALS = ("gatewise", "torch", "onnxruntime", "openvino", "jax", "numba", "numpy")
