"""StyleGAN2 in PyTorch from our weights: channels-last, and no gradient that is not used."""

import itertools
import math
import random

import numpy as np
import torch
from flax.traverse_util import flatten_dict
from torch.nn import functional


def tensors(params):
    """Flax's parameters by their paths, in PyTorch's order of axes."""
    orders = {0: (), 1: (0,), 2: (1, 0), 3: (2, 0, 1), 4: (3, 2, 0, 1)}
    found = {}
    for path, x in flatten_dict(params, sep="/").items():
        x = torch.tensor(np.asarray(x)).permute(orders[x.ndim])
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        found[path] = x.requires_grad_()
    return found


def scaled(kernel, rate=1.0):
    return kernel * (rate / math.sqrt(kernel[0].numel()))


def activation(x):
    return math.sqrt(2) * functional.leaky_relu(x, 0.2)


def dense(weights, name, x, rate=1.0):
    kernel = scaled(weights[f"{name}/kernel"], rate)
    return functional.linear(x, kernel, rate * weights[f"{name}/bias"])


def conv(weights, name, x, **options):
    kernel = scaled(weights[f"{name}/kernel"])
    return functional.conv2d(x, kernel, weights.get(f"{name}/bias"), **options)


def filters(channels, gain=1.0):
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return (gain * torch.outer(taps, taps)).expand(channels, 1, 4, 4)


def smooth(x, padding, stride=1, gain=1.0):
    num = x.shape[1]
    kernel = filters(num, gain)
    return functional.conv2d(x, kernel, padding=padding, stride=stride, groups=num)


def smooth_up(x):
    num = x.shape[1]
    return functional.conv_transpose2d(x, filters(num, 4.0), stride=2, padding=1, groups=num)


def per_place(x):
    return x[..., None, None]


def modulated(weights, number, x, w, *, demodulate=True, upsample=False):
    styles = 1 + dense(weights, f"synthesis/EqualisedDense_{number}", w)
    kernel = scaled(weights[f"synthesis/ModulatedConv_{number}/kernel"])
    x = x * per_place(styles)
    if upsample:
        turned = kernel.flip(2, 3).transpose(0, 1)
        x = smooth(functional.conv_transpose2d(x, turned, stride=2), 1, gain=4.0)
    else:
        x = functional.conv2d(x, kernel, padding=kernel.shape[-1] // 2)
    if not demodulate:
        return x
    squares = functional.linear(styles.square(), kernel.square().sum((2, 3)))
    return x * per_place(torch.rsqrt(squares + 1e-8))


def mapping(weights, z):
    """As `gan_jax.nets.stylegan2.Mapping`, without truncation."""
    w = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
    for number in itertools.count():
        name = f"mapping/EqualisedDense_{number}"
        if f"{name}/kernel" not in weights:
            return w
        w = activation(dense(weights, name, w, rate=0.01))


def synthesise(weights, styles, size):
    """As `gan_jax.nets.StyleGAN2Generator.synthesise`."""
    convs, noises = itertools.count(), itertools.count()

    def layer(x, w, **options):
        x = modulated(weights, next(convs), x, w, **options)
        name = f"synthesis/Noise_{next(noises)}"
        noise = weights[f"{name}/strength"] * torch.randn(len(x), 1, *x.shape[2:])
        return activation(x + noise + per_place(weights[f"{name}/bias"]))

    def colours(x, w):
        bias = weights[f"synthesis/bias_{x.shape[-1]}"]
        return modulated(weights, next(convs), x, w, demodulate=False) + per_place(bias)

    x = layer(weights["synthesis/constant"].expand(len(styles), -1, -1, -1), styles[:, 0])
    image = colours(x, styles[:, 1])
    for level in range(1, styles.shape[1] // 2):
        x = layer(x, styles[:, 2 * level - 1], upsample=True)
        x = layer(x, styles[:, 2 * level])
        image = smooth_up(image) + colours(x, styles[:, 2 * level + 1])
    start = (image.shape[-1] - size) // 2
    return image[..., start : start + size, start : start + size]


def judge(weights, x, side):
    """As `gan_jax.nets.StyleGAN2Discriminator`, for images that are padded to `side`."""
    before = (side - x.shape[-1]) // 2
    after = side - x.shape[-1] - before
    x = functional.pad(x, (before, after, before, after), mode="replicate")
    names = (f"EqualisedConv_{number}" for number in itertools.count())
    x = activation(conv(weights, next(names), x))
    while x.shape[-1] > 4:
        y = activation(conv(weights, next(names), x, padding=1))
        y = activation(conv(weights, next(names), smooth(y, 2), stride=2))
        x = (y + conv(weights, next(names), smooth(x, 1, stride=2))) / math.sqrt(2)
    group = min(4, len(x))
    groups = x.reshape(group, -1, *x.shape[1:])
    deviation = (groups.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3)).repeat(group)
    of_each = deviation[:, None, None, None].expand(-1, 1, *x.shape[2:])
    x = activation(conv(weights, next(names), torch.cat([x, of_each], 1), padding=1))
    x = activation(dense(weights, "EqualisedDense_0", x.permute(0, 2, 3, 1).flatten(1)))
    return dense(weights, "EqualisedDense_1", x)[:, 0]


class Player:
    """Weights that one Adam moves."""

    def __init__(self, params, learning_rate):
        self.weights = tensors(params)
        self.leaves = list(self.weights.values())
        betas = (0.0, 0.99)
        self.adam = torch.optim.Adam(self.leaves, learning_rate, betas=betas, fused=True)

    def move(self, loss):
        gradients = torch.autograd.grad(loss, self.leaves, allow_unused=True)
        for weight, gradient in zip(self.leaves, gradients, strict=True):
            weight.grad = gradient
        self.adam.step()


class Game:
    """Both players and their moves, in the authors' form."""

    def __init__(self, config, generator, discriminator, real):
        self.real, self.size, self.dim = real, real.shape[-1], config.style_dim
        self.side = 1 << (self.size - 1).bit_length()
        self.num_layers = 2 * (self.side.bit_length() - 2)
        self.mixing, self.r1_weight = config.mixing, config.r1_weight
        self.path_length_weight = config.path_length_weight
        self.generator = Player(generator, config.learning_rate)
        self.discriminator = Player(discriminator, config.learning_rate)
        self.mean_style, self.mean_length = torch.zeros(self.dim), torch.zeros(())

    def styles(self, num):
        weights = self.generator.weights
        w = mapping(weights, torch.randn(num, self.dim))
        self.mean_style.lerp_(w.detach().mean(0), 0.005)
        styles = w[:, None].repeat(1, self.num_layers, 1)
        if random.random() < self.mixing:
            first = random.randrange(1, self.num_layers)
            styles[:, first:] = mapping(weights, torch.randn(num, self.dim))[:, None]
        return styles

    def make(self, styles):
        return synthesise(self.generator.weights, styles, self.size)

    def judge(self, x):
        return judge(self.discriminator.weights, x, self.side)

    def game(self):
        num = len(self.real)
        with torch.no_grad():
            made = self.make(self.styles(num))
        of_real, of_made = self.judge(self.real), self.judge(made)
        losses = functional.softplus(-of_real).mean() + functional.softplus(of_made).mean()
        self.discriminator.move(losses)
        made = self.make(self.styles(num))
        self.generator.move(functional.softplus(-self.judge(made)).mean())

    def r1(self):
        x = self.real.requires_grad_()
        (slope,) = torch.autograd.grad(self.judge(x).sum(), x, create_graph=True)
        penalty = slope.square().sum((1, 2, 3)).mean()
        self.discriminator.move(self.r1_weight / 2 * penalty)
        self.real.requires_grad_(False)

    def path_length(self):
        styles = self.styles((len(self.real) + 1) // 2)
        made = self.make(styles)
        y = torch.randn_like(made) / self.size
        (slopes,) = torch.autograd.grad((made * y).sum(), styles, create_graph=True)
        lengths = slopes.square().sum(2).mean(1).sqrt()
        mean = self.mean_length.lerp(lengths.mean(), 0.01)
        self.generator.move(self.path_length_weight * (lengths - mean).square().mean())
        self.mean_length = mean.detach()


def timed(config, generator, discriminator, images, move):
    """Make a function that makes a move so many times, from Flax's parameters on, and waits."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_default_device(device)
    real = torch.tensor(np.asarray(images)).permute(0, 3, 1, 2)
    move = getattr(Game(config, generator, discriminator, real), move)

    def run(num_steps):
        for _ in range(num_steps):
            move()
        if device == "cuda":
            torch.cuda.synchronize()

    return run
