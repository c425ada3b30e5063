import contextlib
import signal
import threading

import pytest

from gan_jax.training.interrupts import Interrupts


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_first_signal_is_noted_and_the_second_raises(signum, status, capfd):
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with Interrupts() as interrupts:
        assert interrupts.poll() is None
        assert interrupts.exit_status == 0
        signal.raise_signal(signum)
        assert interrupts.poll() == signum
        assert interrupts.exit_status == status
        assert signum.name in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert handlers == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]


def test_handlers_are_put_back_after_an_error():
    handler = signal.getsignal(signal.SIGINT)
    with contextlib.suppress(RuntimeError), Interrupts():
        assert signal.getsignal(signal.SIGINT) != handler
        raise RuntimeError
    assert signal.getsignal(signal.SIGINT) == handler


def test_outside_the_main_thread_signals_keep_their_effect():
    seen = []

    def work():
        with Interrupts() as interrupts:
            seen.append((interrupts.poll(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, signal.getsignal(signal.SIGINT))]
