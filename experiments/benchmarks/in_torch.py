"""The benchmarked models in PyTorch: channels-last, and no gradient that is not used."""

from functools import partial
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional


def dcgan(width: int, kernel_size: int, channels: int):
    """The DCGAN pair for 32x32 images, as `gan_jax.nets.DCGANGenerator` and its opponent."""
    pads = {4: (1, 0), 5: (2, 1)}[kernel_size]

    def up(i, o, bias=False):
        return nn.ConvTranspose2d(i, o, kernel_size, 2, pads[0], pads[1], bias=bias)

    def down(i, o, bias=False):
        return nn.Conv2d(i, o, kernel_size, 2, pads[0], bias=bias)

    generator = nn.Sequential(
        nn.Linear(100, 4 * width * 16, bias=False),
        nn.Unflatten(1, (4 * width, 4, 4)),
        nn.BatchNorm2d(4 * width),
        nn.ReLU(True),
        up(4 * width, 2 * width),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(True),
        up(2 * width, width),
        nn.BatchNorm2d(width),
        nn.ReLU(True),
        up(width, channels, bias=True),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        down(channels, width, bias=True),
        nn.LeakyReLU(0.2, True),
        down(width, 2 * width),
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2, True),
        down(2 * width, 4 * width),
        nn.BatchNorm2d(4 * width),
        nn.LeakyReLU(0.2, True),
        nn.Flatten(),
        nn.Linear(4 * width * 16, 1),
    )
    return [net.to(memory_format=torch.channels_last) for net in (generator, discriminator)]


def mlp(widths: tuple[int, ...], latent_dim: int):
    """The ring pair: multi-layer perceptrons with ReLU."""

    def layers(size_in, size_out):
        sizes = [size_in, *widths]
        hidden = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU(True))]
        return nn.Sequential(*hidden, nn.Linear(widths[-1], size_out))

    return layers(latent_dim, 2), layers(2, 1)


def timed(
    update: str,
    network: str,
    *,
    batch_size: int,
    kernel_size: int,
    learning_rate: float,
    bfloat16: bool,
):
    """Make a function that runs so many steps of the non-saturating game and waits for them.

    On a GPU the networks are compiled, and `bfloat16` puts them under autocast.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if network == "dcgan":
        latent_dim, players = 100, dcgan(64, kernel_size, 3)
        real = torch.rand(batch_size, 3, 32, 32).to(memory_format=torch.channels_last)
    else:
        latent_dim, players = 2, mlp((128,) * 3, 2)
        real = torch.rand(batch_size, 2)
    real = (2 * real - 1).to(device)
    generator, discriminator = (player.to(device) for player in players)
    step = make_step(update, generator, discriminator, latent_dim, learning_rate, bfloat16)

    def run(num_steps: int) -> None:
        for _ in range(num_steps):
            step(real)
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def make_step(update, generator, discriminator, latent_dim, learning_rate, bfloat16):
    """Make one step, a function of the real batch. No gradient is computed that is not used."""
    weights_g, weights_d = list(generator.parameters()), list(discriminator.parameters())
    adam_g, adam_d = (
        torch.optim.Adam(weights, learning_rate, betas=(0.5, 0.999))
        for weights in (weights_g, weights_d)
    )

    def fakes(real):
        return generator(torch.randn(real.shape[0], latent_dim, device=real.device))

    def loss_d(real_logits, fake_logits):
        return functional.softplus(-real_logits).mean() + functional.softplus(fake_logits).mean()

    def alternating_d(real):
        with torch.no_grad():
            fake = fakes(real)
        return torch.autograd.grad(loss_d(discriminator(real), discriminator(fake)), weights_d)

    def alternating_g(real):
        return torch.autograd.grad(
            functional.softplus(-discriminator(fakes(real))).mean(), weights_g
        )

    def simultaneous(real):
        fake_logits = discriminator(fakes(real))
        loss = loss_d(discriminator(real), fake_logits)
        gradients_d = torch.autograd.grad(loss, weights_d, retain_graph=True)
        return torch.autograd.grad(functional.softplus(-fake_logits).mean(), weights_g), gradients_d

    on_gpu = next(generator.parameters()).is_cuda
    if on_gpu:
        torch.set_float32_matmul_precision("high")  # TF32, as JAX's default
        torch._functorch.config.donated_buffer = False  # one graph gives two gradients
        generator, discriminator = torch.compile(generator), torch.compile(discriminator)

    def move(weights, gradients, adam):
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        adam.step()

    def step(real):
        with torch.autocast("cuda" if on_gpu else "cpu", torch.bfloat16, enabled=bfloat16):
            if update == "simultaneous":
                gradients_g, gradients_d = simultaneous(real)
                move(weights_d, gradients_d, adam_d)
            else:
                move(weights_d, alternating_d(real), adam_d)
                gradients_g = alternating_g(real)
            move(weights_g, gradients_g, adam_g)

    return step


def perceptron(size_in: int, width: int, size_out: int):
    """One hidden layer of tanh units: either side of the VAE."""
    return nn.Sequential(nn.Linear(size_in, width), nn.Tanh(), nn.Linear(width, size_out))


def timed_vae(images, indices, *, width: int, latent_dim: int, learning_rate: float):
    """Make functions that run so many steps of the VAE and wait for them, by how they do it.

    `images` are bytes and stay on the device; step t takes those at `indices[t]`. The functions are
    "PyTorch" and, unless PyTorch cannot compile on this machine, "torch.compile".
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32, as JAX's default
    resident = torch.from_numpy(images).flatten(1).to(device)
    indices = torch.from_numpy(indices).to(device)

    def make(compiled: bool):
        num_pixels = resident.shape[1]
        encoder = perceptron(num_pixels, width, 2 * latent_dim).to(device)
        decoder = perceptron(latent_dim, width, num_pixels).to(device)
        loss_of = partial(vae_loss, encoder, decoder, resident)
        if compiled:
            loss_of = torch.compile(loss_of)
        weights = [*encoder.parameters(), *decoder.parameters()]
        adam = torch.optim.Adam(weights, learning_rate, fused=True)  # its quickest

        def run(num_steps: int) -> None:
            for rows in indices[:num_steps]:
                adam.zero_grad()
                loss_of(rows).backward()
                adam.step()
            if device == "cuda":
                torch.cuda.synchronize()

        return run

    contenders = {"PyTorch": make(compiled=False), "torch.compile": make(compiled=True)}
    try:
        contenders["torch.compile"](1)
    except torch._dynamo.exc.BackendCompilerFailed as error:
        print(f"torch.compile is left out, for it failed: {error}")
        del contenders["torch.compile"]
    return contenders


def vae_loss(encoder, decoder, resident, rows):
    """-L of `gan_jax.systems.vae`, a mean over images whose pixels are drawn anew."""
    image = torch.bernoulli(resident[rows] / 255)
    mean, log_variance = encoder(image).chunk(2, dim=1)
    latents = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
    log_likelihood = -functional.binary_cross_entropy_with_logits(
        decoder(latents), image, reduction="sum"
    )
    kl = 0.5 * torch.sum(mean**2 + torch.exp(log_variance) - 1 - log_variance)
    return (kl - log_likelihood) / len(rows)
