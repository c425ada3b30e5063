"""One strict setting for every test: several CPU devices, no silent broadcasting, warnings fail."""

import jax

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
