"""peer_pool.py: nanoseconds a task of multiprocessing.Pool and ProcessPoolExecutor, two workers: one name and number in each line."""
import concurrent.futures
import multiprocessing
import time


def add(x):
    return x + 1


def same(data):
    return data


def timed(name, count, work):
    begin = time.perf_counter()
    work()
    print(name, (time.perf_counter() - begin) / count * 1e9, flush=True)


def main():
    context = multiprocessing.get_context("fork")
    executor = concurrent.futures.ProcessPoolExecutor(2, mp_context=context)
    list(executor.map(add, range(10)))
    pool = context.Pool(2)
    pool.map(add, range(10))
    large = [bytes(1 << 20)] * 20
    timed("apply_async", 3000, lambda: [r.get() for r in [pool.apply_async(add, (i,)) for i in range(3000)]])
    timed("map", 200000, lambda: pool.map(add, range(200000)))
    timed("apply", 500, lambda: [pool.apply(add, (i,)) for i in range(500)])
    timed("large", 20, lambda: pool.map(same, large, 1))
    timed("submit", 2000, lambda: [r.result() for r in [executor.submit(add, i) for i in range(2000)]])
    pool.terminate()
    executor.shutdown()


if __name__ == "__main__":
    main()
