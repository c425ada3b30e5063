"""The GAN of short clips in PyTorch: channels-last, and no gradient that is not used."""

from functools import partial

import torch
from torch import nn

from experiments.benchmarks.in_torch import make_step


def pair(width, latent_dim):
    """As `Generator` and `Critic` in `experiments.benchmarks.video`."""
    halved = {"kernel_size": 4, "stride": 2, "padding": 1}
    up, down = partial(nn.ConvTranspose3d, **halved), partial(nn.Conv3d, **halved)
    generator = nn.Sequential(
        nn.Linear(latent_dim, 4 * width * 16, bias=False),
        nn.Unflatten(1, (4 * width, 1, 4, 4)),
        nn.BatchNorm3d(4 * width),
        nn.ReLU(True),
        up(4 * width, 2 * width, bias=False),
        nn.BatchNorm3d(2 * width),
        nn.ReLU(True),
        up(2 * width, width, bias=False),
        nn.BatchNorm3d(width),
        nn.ReLU(True),
        up(width, 3),
        nn.Tanh(),
    )
    critic = nn.Sequential(
        down(3, width),
        nn.LeakyReLU(0.2, True),
        down(width, 2 * width, bias=False),
        nn.BatchNorm3d(2 * width),
        nn.LeakyReLU(0.2, True),
        down(2 * width, 4 * width, bias=False),
        nn.BatchNorm3d(4 * width),
        nn.LeakyReLU(0.2, True),
        nn.Flatten(),
        nn.Linear(4 * width * 16, 1),
    )
    return [net.to(memory_format=torch.channels_last_3d) for net in (generator, critic)]


def timed(batch_size, width, latent_dim, learning_rate):
    """Make a function that runs so many alternating steps and waits for them."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator, critic = (net.to(device) for net in pair(width, latent_dim))
    real = 2 * torch.rand(batch_size, 3, 8, 32, 32, device=device) - 1
    real = real.to(memory_format=torch.channels_last_3d)
    step = make_step("alternating", generator, critic, latent_dim, learning_rate, bfloat16=False)

    def run(num_steps):
        for _ in range(num_steps):
            step(real)
        if device == "cuda":
            torch.cuda.synchronize()

    return run
