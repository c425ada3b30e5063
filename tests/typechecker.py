"""What jaxtyping's import hook checks with: functions, and not the fields of dataclasses.

In a PyTreeNode's fields `tree.map`, `eval_shape` and `vmap` put other things than arrays, and
Flax's own fields carry annotations that no runtime check understands.
"""

from beartype import beartype


def check_functions(function):
    return function if function.__name__ == "__init__" else beartype(function)
