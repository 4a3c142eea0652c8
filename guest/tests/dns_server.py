"""A name server on port 53 of the loopback that answers well, badly, late and falsely, by the name: dns_server.py READY

Makes the file READY when it listens, and runs until it is killed. In `alias.test` an answer holds the whole chain, in `steps.test` one step of it.
"""
import pathlib
import socket
import struct
import sys

ADDRESSES = {
    "db.in.test": "10.1.0.1",
    "whole.test": "10.1.0.2",
    "alias.test": "web.test",
    "web.test": "10.1.0.3",
    "steps.test": "next.test",
    "next.test": "10.1.0.4",
    "forged.test": "10.1.0.5",
    "late.test": "10.1.0.6",
    "host.test": "10.0.2.2",
    "round.test": "trip.test",
    "trip.test": "round.test",
    "empty.test": "",
}
FORGED = "66.6.6.6"
asked = {}


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(name):
    value = ADDRESSES[name]
    if value[0].isdigit():
        return wire(name) + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(value)
    return wire(name) + struct.pack(">HHIH", 5, 1, 60, len(wire(value))) + wire(value)


def answer(number, name, code=0, records=(), flags=0x8180, kind=1):
    head = struct.pack(">HHHHHH", number, flags | code, 1, len(records), 0, 0)
    return head + wire(name) + struct.pack(">HH", kind, 1) + b"".join(records)


def reply(number, name, count):
    """The datagrams that answer the count-th question for a name; the address of each is the server's, or None for another port."""
    if name == "silent.test" or (name == "late.test" and count == 1):
        return
    if name == "broken.test":
        yield answer(number, name, 2), True
    elif name not in ADDRESSES:
        yield answer(number, name, 3), True
    elif name == "round.test":
        yield answer(number, name, 0, [record("round.test"), record("trip.test")]), True
    elif name == "forged.test":
        false = wire(name) + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(FORGED)
        yield answer(number ^ 1, name, 0, [false]), True
        yield answer(number, "other.test", 0, [false]), True
        yield answer(number, name, 0, [false], 0x0180), True
        yield answer(number, name, 0, [false])[:-2], True
        yield answer(number, name, 0, [false]), False
        yield b"", True
        yield bytes(range(256)) * 4, True
        yield answer(number, name, 0, [record(name)]), True
    elif name == "alias.test":
        yield answer(number, name, 0, [record("web.test"), record(name)]), True
    else:
        yield answer(number, name, 0, [record(name)] if ADDRESSES[name] else []), True


ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ours.bind(("127.0.0.1", 53))
other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
pathlib.Path(sys.argv[1]).touch()
while True:
    question, peer = ours.recvfrom(2048)
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode())
        at += 1 + question[at]
    name = ".".join(labels).lower()
    kind = struct.unpack(">H", question[at + 1 : at + 3])[0]
    if kind != 1:
        # There are no IPv6 addresses, but for the names that nobody answers.
        if name != "silent.test":
            ours.sendto(answer(struct.unpack(">H", question[:2])[0], name, 0 if name in ADDRESSES else 3, kind=kind), peer)
        continue
    asked[name] = asked.get(name, 0) + 1
    for datagram, is_ours in reply(struct.unpack(">H", question[:2])[0], name, asked[name]):
        (ours if is_ours else other).sendto(datagram, peer)
