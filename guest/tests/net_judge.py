"""Linux's own TCP/IP judges the guest's network stack, which runs as the program net-tap at 10.99.0.2: net_judge.py PROFILE

Runs inside the network namespace that net_linux.sh makes. Prints a line for each check that fails, and "N passed, N failed".
"""
import os
import socket
import struct
import sys
import threading
import time

GUEST = "10.99.0.2"
LIMIT = 120  # seconds that anything may take on a loaded machine
PERIOD = bytes((i * 2654435761 >> 13) & 0xFF for i in range(1 << 21))
passed = failed = 0


def pattern(count):
    return (PERIOD * (count // len(PERIOD) + 1))[:count]


def check(name, good, said=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name} {said}", flush=True)


def ask(port, text, answers=True):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        for _ in range(60):
            s.sendto(text, (GUEST, port))
            if not answers:
                return b""
            try:
                return s.recv(2000)
            except TimeoutError:
                pass
    raise TimeoutError(f"UDP port {port} does not answer")


def status():
    words = ask(5, b"?").decode().split()
    return dict(zip(words[::2], map(int, words[1::2])))


def connect(port):
    s = socket.create_connection((GUEST, port), timeout=LIMIT)
    s.settimeout(LIMIT)
    return s


def read_all(s):
    data = bytearray()
    while part := s.recv(1 << 18):
        data += part
    return bytes(data)


def down(count):
    with connect(19) as s:
        s.sendall(b"%d\n" % count)
        check(f"{count} bytes from the guest", read_all(s) == pattern(count))


def up_and_back(count):
    """An echo, which ends with the guest's answer to a half-closed connection."""
    data = os.urandom(count)
    unacknowledged = 0
    with connect(7) as s:
        def write():
            nonlocal unacknowledged
            for at in range(0, count, 1 << 16):
                s.sendall(data[at:at + (1 << 16)])
                information = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
                unacknowledged = max(unacknowledged, struct.unpack_from("I", information, 24)[0])
            s.shutdown(socket.SHUT_WR)
        writer = threading.Thread(target=write)
        writer.start()
        check(f"{count} bytes to the guest and back", read_all(s) == data)
        writer.join()
    return unacknowledged


def opened_by_guest(count):
    with socket.create_server(("10.99.0.1", 0)) as server:
        server.settimeout(LIMIT)
        ask(6, b"%d %d" % (server.getsockname()[1], count))
        s, _ = server.accept()
        with s:
            s.settimeout(LIMIT)
            check(f"{count} bytes over a connection that the guest opened", read_all(s) == pattern(count))


def sequential(count):
    for index in range(count):
        with connect(7) as s:
            s.sendall(b"%d" % index)
            if s.recv(100) != b"%d" % index:
                return check("connections one after the other", False, f"at {index}")
    check(f"{count} connections one after the other", True)


def concurrent(count):
    sockets = []
    for _ in range(count):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex((GUEST, 7))
        sockets.append(s)
    good = True
    for index, s in enumerate(sockets):
        s.settimeout(LIMIT)
        s.sendall(b"%06d" % index * 100)
    for index, s in enumerate(sockets):
        data = b""
        while len(data) < 600:
            part = s.recv(1000)
            if not part:
                break
            data += part
        good = good and data == b"%06d" % index * 100
    check(f"{count} connections at once", good)
    check("all of them are there", status()["connections"] == count)
    for s in sockets:
        s.close()


def reset(count):
    for _ in range(count):
        with connect(7) as s:
            s.sendall(b"to be reset")
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def scan(ports):
    found = []
    for port in range(1, ports):
        with socket.socket() as s:
            s.settimeout(LIMIT)
            if s.connect_ex((GUEST, port)) == 0:
                found.append(port)
    check("a scan finds what is open", found == [7, 9, 19], str(found))


def refused():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(LIMIT)
        s.connect((GUEST, 4))
        s.send(b"anybody?")
        try:
            s.recv(10)
            check("a UDP port that nobody has is told", False)
        except ConnectionRefusedError:
            check("a UDP port that nobody has is told", True)


def ping():
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
        s.settimeout(LIMIT)
        message = struct.pack(">BBHHH", 8, 0, 0, 77, 1) + bytes(range(256)) * 5
        total = sum(struct.unpack(f">{len(message) // 2}H", message))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        s.sendto(message[:2] + struct.pack(">H", total ^ 0xFFFF) + message[4:], (GUEST, 0))
        while True:
            answer = s.recv(2000)[20:]
            if answer[0] == 0:
                return check("an echo of 1,280 bytes", answer[4:] == message[4:])


class Capture:
    """Reads the TCP options that the guest sends."""

    def __init__(self):
        self.kinds = set()
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self.socket.bind(("t0", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            packet = self.socket.recv(2000)[14:]
            if packet[9] != 6 or packet[12:16] != socket.inet_aton(GUEST):
                continue
            segment = packet[(packet[0] & 15) * 4:]
            options = segment[20:(segment[12] >> 4) * 4]
            while options and options[0]:
                if options[0] == 1:
                    options = options[1:]
                    continue
                self.kinds.add(options[0])
                options = options[options[1]:]


def nothing_left():
    deadline = time.monotonic() + LIMIT
    while True:
        now = status()
        if now["connections"] == 0 and now["embryos"] == 0:
            break
        if time.monotonic() > deadline:
            return check("connections end", False, str(now))
        time.sleep(0.1)
    # What waits out its end: 56 in a page, and the table that finds them.
    allowed = 2 + now["waiting"] // 40 + now["waiting"] // 256 + 3
    check("pages go back", now["pages"] <= allowed, str(now))


def main(profile):
    capture = Capture()
    if profile == "clean":
        ping()
        refused()
        check("a UDP datagram of 1,472 bytes", ask(7, bytes(1472)) == bytes(1472))
        down(16 << 20)
        up_and_back(16 << 20)
        opened_by_guest(4 << 20)
        sequential(1000)
        concurrent(1000)
        reset(100)
        scan(1000)
        check("size, scale, selective acknowledgement and timestamps are offered", capture.kinds >= {2, 3, 4, 8}, str(capture.kinds))
    elif profile == "lossy":
        down(4 << 20)
        up_and_back(4 << 20)
        opened_by_guest(1 << 20)
        sequential(100)
        concurrent(200)
        check("selective acknowledgements are seen", 5 in capture.kinds, str(capture.kinds))
        now = status()
        check("losses are repaired", now["recoveries"] > 0, str(now))
    elif profile == "bad":
        down(1 << 20)
        up_and_back(1 << 20)
        sequential(20)
    elif profile == "far":
        down(8 << 20)
        flight = status()["flight"]
        check("more than 64 KiB from the guest are in flight", flight > 1 << 16, str(flight))
        segments = up_and_back(4 << 20)
        check("more than 64 KiB to the guest are in flight", segments * 1448 > 1 << 16, str(segments))
    nothing_left()
    print(f"{passed} passed, {failed} failed")
    return failed != 0


sys.exit(main(sys.argv[1]))
