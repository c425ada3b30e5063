"""The benchmarked games in PyTorch, as fast as plain PyTorch goes: channels-last, no wasted gradient."""

import torch
from torch import nn
from torch.nn import functional as F


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
        hidden = [
            layer
            for a, b in zip(sizes[:-1], sizes[1:], strict=True)
            for layer in (nn.Linear(a, b), nn.ReLU(True))
        ]
        return nn.Sequential(*hidden, nn.Linear(widths[-1], size_out))

    return layers(latent_dim, 2), layers(2, 1)


def make_step(update: str, generator, discriminator, latent_dim: int, learning_rate: float):
    """Make the step of the non-saturating game, a function of the real batch."""
    weights_g, weights_d = list(generator.parameters()), list(discriminator.parameters())
    adam = [torch.optim.Adam(w, learning_rate, betas=(0.5, 0.999)) for w in (weights_g, weights_d)]

    def latents(real):
        return torch.randn(real.shape[0], latent_dim)

    def discriminator_loss(real, fake_logits):
        return F.softplus(-discriminator(real)).mean() + F.softplus(fake_logits).mean()

    def set_gradients(weights, gradients):
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient

    def alternating(real):
        with torch.no_grad():
            fake = generator(latents(real))
        loss = discriminator_loss(real, discriminator(fake))
        set_gradients(weights_d, torch.autograd.grad(loss, weights_d))
        adam[1].step()
        loss_g = F.softplus(-discriminator(generator(latents(real)))).mean()
        set_gradients(weights_g, torch.autograd.grad(loss_g, weights_g))
        adam[0].step()

    def simultaneous(real):
        fake = generator(latents(real))
        fake_logits = discriminator(fake)
        gradient_d = torch.autograd.grad(
            discriminator_loss(real, fake_logits), weights_d, retain_graph=True
        )
        gradient_g = torch.autograd.grad(F.softplus(-fake_logits).mean(), weights_g)
        set_gradients(weights_d, gradient_d)
        set_gradients(weights_g, gradient_g)
        adam[0].step()
        adam[1].step()

    return {"alternating": alternating, "simultaneous": simultaneous}[update]
