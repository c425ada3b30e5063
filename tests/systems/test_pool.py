"""The pool of past examples: the authors' loop, and how old what it gives is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.systems.pool import empty_pool, exchange

KEY = jax.random.key(0)
SIZE = 50
swapping = jax.jit(exchange)


def numbered(start, num):
    return jnp.arange(start, start + num, dtype=jnp.float32)[:, None]


def test_it_gives_what_it_gets_until_it_is_full():
    pool = empty_pool(6, jnp.zeros(1))
    given, pool = swapping(KEY, pool, numbered(1, 4))
    np.testing.assert_array_equal(given, numbered(1, 4))
    assert int(pool.taken) == 4
    given, pool = swapping(KEY, pool, numbered(5, 4))
    np.testing.assert_array_equal(given[:2], numbered(5, 2))
    assert int(pool.taken) == 6
    assert set(np.ravel(pool.examples)) | set(np.ravel(given)) == set(range(1, 9))


def test_it_is_the_authors_loop():
    """`query` of their image pool, given the same throws of the dice."""
    key_swap, key_place = jax.random.split(KEY)
    swaps = jax.random.bernoulli(key_swap, shape=(40,)).tolist()
    places = jax.random.randint(key_place, (40,), 0, 5).tolist()
    pool, given = [], []
    for number, swap, place in zip(range(40), swaps, places, strict=True):
        if len(pool) < 5:
            pool.append(number)
            given.append(number)
        elif swap:
            given.append(pool[place])
            pool[place] = number
        else:
            given.append(number)
    found, after = swapping(KEY, empty_pool(5, jnp.zeros(1)), numbered(0, 40))
    assert np.ravel(found).tolist() == given
    assert np.ravel(after.examples).tolist() == pool


def test_a_full_one_gives_the_past_half_of_the_time_and_any_of_it():
    """In a scan of 10,000 exchanges an image stays for 2·50 draws in the mean, and all come out."""
    num = 10_000

    def step(pool, key_and_examples):
        given, pool = exchange(key_and_examples[0], pool, key_and_examples[1])
        return pool, given

    shown = numbered(0, num).reshape(-1, 10, 1)
    inputs = (jax.random.split(KEY, len(shown)), shown)
    pool, given = jax.jit(lambda p: jax.lax.scan(step, p, inputs))(empty_pool(SIZE, jnp.zeros(1)))
    ages = np.ravel(shown - given)[SIZE:]
    is_past = ages > 0
    assert abs(is_past.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(ages))
    settled = ages[is_past & (np.arange(len(ages)) > 1_000)]
    mean = 2 * SIZE  # of the geometric distribution, whose deviation is as large
    assert abs(settled.mean() / mean - 1) < 4 / np.sqrt(len(settled))
    assert abs(settled.std() / mean - 1) < 8 / np.sqrt(len(settled))
    assert pool.examples.min() > num - 20 * mean  # no place is passed over
    both = np.sort(np.concatenate([np.ravel(given), np.ravel(pool.examples)]))
    assert len(set(np.ravel(given)[SIZE:])) == len(ages)  # the past is given once
    np.testing.assert_array_equal(np.unique(both), np.arange(num))


def test_gradients_reach_what_is_new_and_not_the_past():
    pool = empty_pool(3, jnp.zeros(1))
    _, pool = swapping(KEY, pool, numbered(1, 3))
    given, _ = swapping(KEY, pool, numbered(10, 20))
    slope = jax.jit(jax.grad(lambda x: exchange(KEY, pool, x)[0].sum()))(numbered(10, 20))
    is_new = np.asarray(given == numbered(10, 20))
    assert 0 < is_new.sum() < 20
    np.testing.assert_array_equal(slope, is_new.astype(np.float32))


def test_a_pool_without_places_is_refused():
    with pytest.raises(ValueError, match="size is 0; it must be an integer, at least 1"):
        empty_pool(0, jnp.zeros(1))
