"""peer_process.py [ROUNDS]: starts and joins an empty process by each method of multiprocessing, in turns.

Prints Python's version, and for each method its median in microseconds.
"""
import multiprocessing
import platform
import statistics
import sys
import time


def nothing():
    pass


def start_and_join(method):
    begin = time.perf_counter()
    process = multiprocessing.get_context(method).Process(target=nothing)
    process.start()
    process.join()
    took = time.perf_counter() - begin
    if process.exitcode != 0:
        sys.exit(f"{method}: exit code {process.exitcode}")
    process.close()
    return took * 1e6


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 51
    took = {method: [] for method in multiprocessing.get_all_start_methods()}
    for method in took:
        start_and_join(method)  # its fork server and resource tracker start here
    for _ in range(rounds):
        for method in took:
            took[method].append(start_and_join(method))
    print("version", platform.python_version())
    for method in took:
        print(method, f"{statistics.median(took[method]):.1f}")


if __name__ == "__main__":
    main()
