"""Exercises what CPython asks of a system: threads, an event loop, timers, signals, files, pipes, extension modules."""
import asyncio
import json
import os
import signal
import sqlite3
import sys
import tempfile
import threading
import time

print("hello from python", sys.version_info[0], os.getcwd(), sys.executable)

total = []
threads = [threading.Thread(target=lambda n=n: total.append(n)) for n in range(100)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("threads:", sum(total))


async def part(number):
    await asyncio.sleep(0.001 * number)
    return number


async def whole():
    return sum(await asyncio.gather(*(part(number) for number in range(10))))


print("asyncio:", asyncio.run(whole()))

begun = time.monotonic()
time.sleep(0.03)
print("timer:", time.monotonic() - begun >= 0.03)

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "x")
    with open(path, "w") as file:
        file.write("written")
    os.rename(path, path + "y")
    print("file:", open(path + "y").read(), os.listdir(folder))

caught = []
signal.signal(signal.SIGUSR1, lambda number, frame: caught.append(number))
os.kill(os.getpid(), signal.SIGUSR1)
print("signal:", caught[0])

connection = sqlite3.connect(":memory:")
print("stdlib:", connection.execute("select 1 + 1").fetchone()[0], json.dumps({"a": 1}))

reader, writer = os.pipe()
threading.Thread(target=lambda: os.write(writer, b"through")).start()
print("pipe:", os.read(reader, 100).decode())
sys.stdout.flush()
sys.exit(5)
