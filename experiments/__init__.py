"""One file, one experiment. May import anything in gan_jax; nothing imports it."""
