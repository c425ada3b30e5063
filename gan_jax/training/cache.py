"""Compiled programs kept on disk: a second start, or a resumed run, compiles nothing."""

import os
from pathlib import Path

import jax

MIN_COMPILE_SECONDS = 0.1
"""Faster compilations are not worth a file."""


def enable_compilation_cache() -> None:
    """Keep compiled programs in $XDG_CACHE_HOME/gan_jax, or in ~/.cache/gan_jax.

    To be called before the first compilation. The directory and the threshold that
    JAX_COMPILATION_CACHE_DIR and JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS set are left alone;
    where the directory cannot be written, nothing is kept.
    """
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", MIN_COMPILE_SECONDS)
    chosen = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if chosen is None and (directory := cache_directory()):
        jax.config.update("jax_compilation_cache_dir", str(directory))


def cache_directory() -> Path | None:
    """Where what is costly to make is kept between runs; None where one may not write."""
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        directory = Path(home) / "gan_jax"
        directory.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: there is no home directory
        return None
    return directory if os.access(directory, os.W_OK) else None
