"""A DHCP server at the other end of QEMU's datagram socket, silent until a file holds a word: dhcp_server.py OURS THEIRS FILE WORD

It gives 10.0.2.15 for an hour and two name servers, and ends when its socket's folder goes or it is killed.
"""
import socket
import struct
import sys

SERVER = bytes([10, 0, 2, 2])
CLIENT = bytes([10, 0, 2, 15])
OFFER, ACK = 2, 5


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def answer(message):
    """The frame that answers a client's message: an offer to a discover, an acknowledgement to a request (RFC 2131)."""
    kind = OFFER if message[242] == 1 else ACK
    fixed = bytearray(240)
    fixed[0:3] = b"\x02\x01\x06"
    fixed[4:8] = message[4:8]
    fixed[16:20] = CLIENT
    fixed[28:34] = message[28:34]
    fixed[236:240] = bytes([99, 130, 83, 99])
    options = bytes([53, 1, kind, 54, 4, *SERVER, 1, 4, 255, 255, 255, 0, 3, 4, *SERVER, 6, 8, *SERVER, 9, 9, 9, 9, 51, 4, 0, 0, 14, 16, 255])
    payload = bytes(fixed) + options
    datagram = struct.pack(">HHHH", 67, 68, 8 + len(payload), 0) + payload
    header = bytearray(struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0, SERVER, b"\xff" * 4))
    header[10:12] = struct.pack(">H", checksum(bytes(header)))
    return b"\xff" * 6 + b"\x02\0\0\0\0\x09" + b"\x08\0" + bytes(header) + datagram


ours, theirs, path, word = sys.argv[1:]
link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
link.bind(ours)
link.settimeout(0.1)
last = None
while True:
    try:
        frame = link.recv(4096)
        if frame[12:14] == b"\x08\0" and frame[23] == 17 and frame[36:38] == b"\0\x43":
            last = frame[42:]
    except TimeoutError:
        pass
    if last:
        with open(path, encoding="utf-8", errors="replace") as text:
            ready = word in text.read()
        if ready:
            link.sendto(answer(last), theirs)
            last = None
