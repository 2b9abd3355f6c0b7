"""For each line `file bytes calls`, so many calls of os.sendfile into /dev/null, and what they took."""

import json
import os
import sys
import time


def calls(file, size, count):
    sink = os.open("/dev/null", os.O_WRONLY)
    fd = os.open(file, os.O_RDONLY)
    sendfile = os.sendfile
    cpu = time.process_time_ns()
    began = time.perf_counter_ns()
    for _ in range(count):
        if sendfile(sink, fd, 0, size) != size:
            raise OSError("a call sent less")
    wall = time.perf_counter_ns() - began
    cpu = time.process_time_ns() - cpu
    os.close(fd)
    os.close(sink)
    return {"cpuNs": cpu / count, "wallNs": wall / count}


def say(answer):
    print(json.dumps(answer), flush=True)


say({"version": sys.version.split()[0]})
for line in sys.stdin:
    file, size, count = line.split()
    say(calls(file, int(size), int(count)))
