"""peer_sync.py: nanoseconds for acquire and release of a multiprocessing.Lock that nobody else wants."""
import multiprocessing
import time


def main():
    lock = multiprocessing.Lock()
    count = 500000
    begin = time.perf_counter()
    for _ in range(count):
        lock.acquire()
        lock.release()
    print((time.perf_counter() - begin) / count * 1e9)


if __name__ == "__main__":
    main()
