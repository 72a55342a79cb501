"""The Python contestant: keeps a number of calls in flight to an echo worker, and
prints calls per second.

    python3 -c "$(cat echo.py)" CALLS INFLIGHT SIZE
"""

import concurrent.futures
import multiprocessing
import sys
import threading
import time

calls, in_flight, size = map(int, sys.argv[1:])
payload = (b"abcdefghijklmnopqrstuvwxyz" * (size // 26 + 1))[:size]


def echo(request):
    return request


def check(reply):
    if reply != payload:
        raise SystemExit("echo.py: a reply differs from its call")


def one_at_a_time(pool, count):
    for _ in range(count):
        check(pool.submit(echo, payload).result())


class Pump:
    """Each reply makes the next call, on the pool's own thread."""

    def __init__(self, pool, count):
        self.pool, self.to_make, self.to_end = pool, count, count
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.error = None

    def run(self):
        for _ in range(min(in_flight, self.to_make)):
            self.call()
        self.ended.wait()
        if self.error:
            raise self.error

    def call(self):
        with self.lock:
            if self.to_make == 0:
                return
            self.to_make -= 1
        self.pool.submit(echo, payload).add_done_callback(self.complete)

    def complete(self, future):
        try:
            check(future.result())
            self.call()
        except BaseException as error:
            self.error = error
            self.ended.set()
        with self.lock:
            self.to_end -= 1
            if self.to_end == 0:
                self.ended.set()


def make_calls(pool, count):
    if in_flight == 1:
        one_at_a_time(pool, count)
    else:
        Pump(pool, count).run()


def main():
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        make_calls(pool, calls // 10 + 1)
        begin = time.monotonic()
        make_calls(pool, calls)
        took = time.monotonic() - begin
    print(f"{calls / took:.1f} calls/s")


main()
