"""A picture whose measures are known: tests compare with what other packages compute of it."""

import numpy as np


def picture(phase, height, width):
    """127.5 (1 + sin(i/7 + c) cos(j/11 + phase) cos((i + 2j)/(23 + 5 phase))), for c = 0, 1, 2."""
    i, j, c = np.mgrid[:height, :width, :3].astype(np.float64)
    waves = np.sin(i / 7 + c) * np.cos(j / 11 + phase) * np.cos((i + 2 * j) / (23 + 5 * phase))
    return 127.5 * (1 + waves)
