"""What the experiments on explicit densities claim is found, in a third of their steps or fewer."""

from dataclasses import replace

import pytest

from experiments import amortisation_gap, conv_vae, cvae, hierarchical_vae, iwae, vae

pytestmark = pytest.mark.slow
SHORT = {"parallel": "none", "num_unseen": 50, "steps": 270, "evaluate_every": 270}


@pytest.fixture(scope="module")
def importance_weighted(tmp_path_factory):
    config = replace(iwae.CONFIGS["digits"], **SHORT)
    return config, iwae.run(config, tmp_path_factory.mktemp("iwae")).metrics["nll"]


def test_an_importance_weighted_bound_learns_likelier_digits_than_a_vae_s(
    importance_weighted, tmp_path
):
    config, nll = importance_weighted
    plain = replace(config, objective="vae", num_samples=1)
    assert nll < iwae.run(plain, tmp_path).metrics["nll"] - 0.5


def test_a_second_stochastic_layer_is_near_one_at_this_length(importance_weighted, tmp_path):
    config = replace(hierarchical_vae.CONFIGS["digits"], **SHORT)
    metrics = hierarchical_vae.run(config, tmp_path).metrics
    assert abs(metrics["nll"] - importance_weighted[1]) < 4
    assert metrics["active_units/2"] > 10


def test_a_cvae_finds_unseen_quadrants_likelier_than_a_network_without_latents(tmp_path):
    metrics = cvae.run(replace(cvae.CONFIGS["digits"], **SHORT), tmp_path).metrics
    monte_carlo, importance = (
        metrics[f"CVAE, {by}"] for by in ("Monte Carlo", "importance sampling")
    )
    assert importance + 3 < monte_carlo < metrics["network"] - 5


def test_a_posterior_of_its_own_brings_each_point_nearer_to_its_likelihood(tmp_path):
    config = replace(amortisation_gap.CONFIGS["digits"], **SHORT, num_refinement_steps=100)
    metrics = amortisation_gap.run(config, tmp_path).metrics
    likelihood, refined, encoder = (
        metrics[name] for name in ("log-likelihood", "refined from the encoder", "encoder")
    )
    assert likelihood > refined + 1 > encoder + 3
    assert metrics["refined from the prior"] < refined


def test_convolutions_reconstruct_better_than_two_latents(tmp_path):
    conv, plain = (
        module.run(replace(module.CONFIGS["digits"], **SHORT), tmp_path / module.__name__).metrics
        for module in (conv_vae, vae)
    )
    assert conv["unseen/error"] < 0.8 * plain["unseen/error"]
    assert conv["nll"] < plain["nll"] - 20
