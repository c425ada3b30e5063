"""How long an experiment lasts that is to show a claim, and what it measured on the way."""

from dataclasses import replace

from gan_jax import training


def measured(folder, name):
    """An evaluation's number along a run, by steps."""
    return {line["step"]: line[name] for line in training.read_log(folder) if name in line}


def lasting(config, steps, *, evaluations=1):
    """On one of the tests' devices: on all of them small batches take half as long again."""
    at = {"evaluate_every": steps // evaluations, "checkpoint_every": steps}
    if config.parallel != "none":
        at["parallel"] = "none"
    return replace(config, steps=steps, **at)
