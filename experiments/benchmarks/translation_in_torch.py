"""pix2pix and CycleGAN in PyTorch, in the order of play of their authors' code: channels-last."""

import itertools
import random

import torch
from torch import nn
from torch.nn import functional

POOL_SIZE = 50


def normed(channels):
    return nn.InstanceNorm2d(channels, affine=True)


class UNet(nn.Module):
    """As `gan_jax.nets.UNet`."""

    def __init__(self, given, channels, width, depth):
        super().__init__()
        features = [width * min(1 << i, 8) for i in range(depth)]
        self.down = nn.ModuleList(
            nn.Conv2d(i, o, 4, 2, 1, bias=place in (0, depth - 1))
            for place, (i, o) in enumerate(itertools.pairwise([given, *features]))
        )
        self.down_norms = nn.ModuleList(map(normed, features[1:-1]))
        joined = [features[-1], *(2 * width for width in reversed(features[:-1]))]
        outputs = [*reversed(features[:-1]), channels]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(i, o, 4, 2, 1, bias=place == depth - 1)
            for place, (i, o) in enumerate(zip(joined, outputs, strict=True))
        )
        self.up_norms = nn.ModuleList(map(normed, outputs[:-1]))

    def forward(self, x):
        maps = []
        for i, layer in enumerate(self.down):
            x = layer(functional.leaky_relu(x, 0.2) if i else x)
            if 0 < i < len(self.down) - 1:
                x = self.down_norms[i - 1](x)
            maps.append(x)
        for i, norm in enumerate(self.up_norms):
            x = norm(self.up[i](functional.relu(x)))
            x = functional.dropout(x, 0.5) if i < 3 else x
            x = torch.cat([x, maps[-2 - i]], 1)
        return torch.tanh(self.up[-1](functional.relu(x)))


def patches(given, width, num_layers):
    """As `gan_jax.nets.PatchDiscriminator`."""
    layers, channels = [nn.Conv2d(given, width, 4, 2, 1), nn.LeakyReLU(0.2)], width
    for i in range(1, num_layers + 1):
        out, stride = width * min(1 << i, 8), 2 if i < num_layers else 1
        layers += [
            nn.Conv2d(channels, out, 4, stride, 1, bias=False),
            normed(out),
            nn.LeakyReLU(0.2),
        ]
        channels = out
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 4, 1, 1))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=False), normed(width)),
            nn.ReLU(),
            *(nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=False), normed(width)),
        )

    def forward(self, x):
        return x + self.layers(x)


def residual(channels, width, num_blocks):
    """As `gan_jax.nets.ResidualGenerator`."""

    def layer(i, o, size, stride, padding):
        return [nn.Conv2d(i, o, size, stride, padding, bias=False), normed(o), nn.ReLU()]

    def up(i, o):
        return [nn.ConvTranspose2d(i, o, 3, 2, 1, 1, bias=False), normed(o), nn.ReLU()]

    return nn.Sequential(
        nn.ReflectionPad2d(3),
        *layer(channels, width, 7, 1, 0),
        *layer(width, 2 * width, 3, 2, 1),
        *layer(2 * width, 4 * width, 3, 2, 1),
        *(Block(4 * width) for _ in range(num_blocks)),
        *up(4 * width, 2 * width),
        *up(2 * width, width),
        nn.ReflectionPad2d(3),
        nn.Conv2d(width, channels, 7),
        nn.Tanh(),
    )


class Player:
    """Networks that one Adam moves."""

    def __init__(self, networks, learning_rate):
        self.networks = [net.to(memory_format=torch.channels_last) for net in networks]
        weights = itertools.chain(*(net.parameters() for net in self.networks))
        self.adam = torch.optim.Adam(weights, learning_rate, betas=(0.5, 0.999))

    def requires_grad(self, is_moved):
        for net in self.networks:
            net.requires_grad_(is_moved)

    def move(self, loss):
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()


def pix2pix(config, learning_rate):
    """One step: the discriminator moves, then the generator, on one and the same fake."""
    generator = Player([UNet(3, 3, config.width, config.depth)], learning_rate)
    critic = Player([patches(6, config.width, config.num_layers)], learning_rate)
    make, judge = generator.networks[0], critic.networks[0]

    def step(condition, target):
        fake = make(condition)
        critic.requires_grad(True)
        of_fake, of_real = (judge(torch.cat([x, condition], 1)) for x in (fake.detach(), target))
        losses = functional.softplus(-of_real).mean(), functional.softplus(of_fake).mean()
        critic.move(sum(losses) / 2)
        critic.requires_grad(False)
        fooling = functional.softplus(-judge(torch.cat([fake, condition], 1))).mean()
        generator.move(fooling + 100 * (fake - target).abs().mean())

    return step


def cyclegan(config, learning_rate):
    """One step: the generators move, then the discriminators on pooled fakes of before."""
    makers = [residual(3, config.width, config.num_blocks) for _ in range(2)]
    judges = [patches(3, config.width, config.num_layers) for _ in range(2)]
    generator, critic = Player(makers, learning_rate), Player(judges, learning_rate)
    translate, back = makers
    of_source, of_target = judges
    pools = [], []

    def pooled(pool, fakes):
        given = []
        for fake in fakes.detach():
            if len(pool) < POOL_SIZE:
                pool.append(fake)
            elif random.random() < 0.5:
                place = random.randrange(POOL_SIZE)
                pool[place], fake = fake, pool[place]
            given.append(fake)
        return torch.stack(given)

    def step(x, y):
        critic.requires_grad(False)
        fake_y, fake_x = translate(x), back(y)
        cycles = (back(fake_y) - x).abs().mean() + (translate(fake_x) - y).abs().mean()
        fooling = ((of_target(fake_y) - 1) ** 2).mean() + ((of_source(fake_x) - 1) ** 2).mean()
        generator.move(fooling + 10 * cycles)
        critic.requires_grad(True)
        loss = 0.0
        for judge, pool, real, fake in (
            (of_source, pools[0], x, fake_x),
            (of_target, pools[1], y, fake_y),
        ):
            of_fake = judge(pooled(pool, fake))
            loss = loss + ((judge(real) - 1) ** 2).mean() / 2 + (of_fake**2).mean() / 2
        critic.move(loss)

    return step


def timed(config, learning_rate):
    """Make a function that runs so many steps and waits for them."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        step = {"pix2pix": pix2pix, "cyclegan": cyclegan}[config.network](config, learning_rate)
        shape = config.batch_size, 3, config.size, config.size
        images = [
            (2 * torch.rand(shape) - 1).to(memory_format=torch.channels_last) for _ in range(2)
        ]

    def run(num_steps):
        for _ in range(num_steps):
            step(*images)
        if device == "cuda":
            torch.cuda.synchronize()

    return run
