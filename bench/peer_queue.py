"""peer_queue.py SIZE: bytes through a multiprocessing.Queue from one process to another; prints millions of messages per second."""
import multiprocessing
import sys
import time


def put(queue, size, seconds):
    data = bytes(size)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(64):
            queue.put(data)
    queue.put(None)


def main():
    size = int(sys.argv[1])
    queue = multiprocessing.Queue(1024 if size < 65536 else 4)
    producer = multiprocessing.get_context("fork").Process(target=put, args=(queue, size, 1.0))
    producer.start()
    count = 0
    begin = time.perf_counter()
    while queue.get() is not None:
        count += 1
    took = time.perf_counter() - begin
    producer.join()
    print(count / took / 1e6)


if __name__ == "__main__":
    main()
