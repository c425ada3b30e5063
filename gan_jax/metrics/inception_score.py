"""The inception score of class logits, whichever classifier they are of."""

import numpy as np
from jaxtyping import Array, Float
from scipy import special

from gan_jax.checks import AT_LEAST_1, check_bound
from gan_jax.errors import Refusal
from gan_jax.losses.inputs import check_points


def inception_score(
    logits: Float[Array | np.ndarray, "num classes"], *, num_splits: int = 1
) -> tuple[float, float]:
    """exp(1/n Σ_i KL(p(y|x_i) ‖ p(y))) with p(y) = 1/n Σ_i p(y|x_i): mean and std over splits.

    From 1, where all examples are alike to the classifier, to the number of classes. Computed as
    the entropy of the mean less the mean entropy, in float64 on the host; not to be traced. Splits
    are examples [i n/s, (i+1) n/s) in the order that is given: shuffle what is sorted by class.
    Published numbers have 10 splits, and Inception's 1,008 logits without their bias.

    Salimans et al. 2016, section 4.

    Raises:
        ValueError: the logits are no rows, one an example, or not finite; `num_splits` is below 1,
            or above the number of examples.
    """
    check_bound(AT_LEAST_1, num_splits=num_splits)
    check_points(logits=logits)
    num = len(logits)
    if num_splits > num:
        raise Refusal(f"num_splits is {num_splits}; it must be at most {num}, one example a split.")
    scores = []
    for i in range(num_splits):
        part = logits[i * num // num_splits : (i + 1) * num // num_splits]
        p = special.softmax(np.asarray(part, np.float64), axis=1)
        between = special.entr(p.mean(axis=0)).sum() - special.entr(p).sum(axis=1).mean()
        scores.append(np.exp(between))
    return float(np.mean(scores)), float(np.std(scores))
