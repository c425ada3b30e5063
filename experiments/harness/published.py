"""What papers report, printed beside what a run finds."""

MODES = {
    "ring": [
        ("GAN (VEEGAN, 5 runs)", "1", "99.3 %", ""),
        ("unrolled GAN (VEEGAN, 5 runs)", "7.6", "35.6 %", ""),
        ("VEEGAN (VEEGAN, 5 runs)", "8", "52.9 %", ""),
        ("GAN (PacGAN, 10 runs)", "6.3 ± 0.5", "98.2 ± 0.2 %", "0.45 ± 0.09"),
        ("PacGAN 2 (PacGAN, 10 runs)", "7.9 ± 0.1", "95.6 ± 2.0 %", "0.07 ± 0.03"),
        ("PacGAN 3 (PacGAN, 10 runs)", "7.8 ± 0.1", "97.7 ± 0.3 %", "0.10 ± 0.02"),
        ("PacGAN 4 (PacGAN, 10 runs)", "7.8 ± 0.1", "95.9 ± 1.4 %", "0.07 ± 0.02"),
    ],
    "grid": [
        ("GAN (VEEGAN, 5 runs)", "3.3", "0.5 %", ""),
        ("unrolled GAN (VEEGAN, 5 runs)", "23.6", "16 %", ""),
        ("VEEGAN (VEEGAN, 5 runs)", "24.6", "40 %", ""),
        ("GAN (PacGAN, 10 runs)", "17.3 ± 0.8", "94.8 ± 0.7 %", "0.70 ± 0.07"),
        ("PacGAN 2 (PacGAN, 10 runs)", "23.8 ± 0.7", "91.3 ± 0.8 %", "0.13 ± 0.04"),
        ("PacGAN 3 (PacGAN, 10 runs)", "24.6 ± 0.4", "94.2 ± 0.4 %", "0.06 ± 0.02"),
        ("PacGAN 4 (PacGAN, 10 runs)", "24.8 ± 0.2", "93.6 ± 0.6 %", "0.04 ± 0.01"),
    ],
}
"""Modes, high quality, reverse KL: Srivastava et al. 2017 (VEEGAN), table 1; Lin et al. 2018
(PacGAN), table 1 (± standard errors). Same mixtures, 2,500 samples and thresholds as ours; their
networks, batches and numbers of steps differ from each other and from our defaults."""

F_GAN = {
    "kl": (0.2831, 1.0100, 1.8308),
    "reverse_kl": (0.2480, 1.5782, 1.6319),
    "jensen_shannon": (0.1280, 1.3070, 1.7542),
    "jeffrey": (0.5705, 1.3218, 1.7034),
    "pearson_chi2": (0.6457, 0.5737, 1.9274),
}
"""Nowozin et al. 2016, table 2: the divergence at the optimum, its mean and its deviation."""

IWAE = {
    ("vae", 1): "86.76 (19)",
    ("vae", 5): "86.47 (20)",
    ("vae", 50): "86.35 (20)",
    ("iwae", 1): "86.76 (19)",
    ("iwae", 5): "85.54 (22)",
    ("iwae", 50): "84.78 (25)",
}
"""Burda et al. 2016, table 1: NLL and active units of MNIST after 3,280 epochs, one layer."""
IWAE_OF_TWO_LAYERS = {
    ("vae", 1): "85.33 (16+5)",
    ("vae", 5): "85.01 (17+5)",
    ("vae", 50): "84.78 (17+5)",
    ("iwae", 1): "85.33 (16+5)",
    ("iwae", 5): "83.89 (21+5)",
    ("iwae", 50): "82.90 (26+7)",
}

CVAE = {1: (99.75, 68.39, 63.91), 2: (62.18, 45.34, 44.73), 3: (25.99, 20.96, 20.95)}
"""Sohn et al. 2015, table 1, MNIST: network, CVAE by Monte Carlo, CVAE by importance sampling."""
