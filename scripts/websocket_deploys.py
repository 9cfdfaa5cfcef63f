"""Keeps one WebSocket through a deploy of its server at every byte of a frame.

    websocket_deploys.py PORT PROGRAM [ARGUMENT…]

The program is started once for each byte, in the folder of this process; the one before it must end with status 0.
"""

import os
import socket
import ssl
import subprocess
import sys
import time


def connect(port):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    deadline = time.monotonic() + 60
    while True:
        try:
            return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=60))
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise


def upgrade(stream):
    stream.sendall(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += exactly(stream, 1)
    assert head.startswith(b"HTTP/1.1 101 "), head


def exactly(stream, count):
    data = b""
    while len(data) < count:
        part = stream.recv(count - len(data))
        if not part:
            raise SystemExit(f"the server closed the connection; so far {data!r}")
        data += part
    return data


def frame(text):
    mask = os.urandom(4)
    data = text.encode()
    assert len(data) < 126
    return bytes([0x81, 0x80 | len(data)]) + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))


def answer(stream):
    opcode, length = exactly(stream, 2)
    assert opcode == 0x81 and length < 126, (opcode, length)
    return exactly(stream, length).decode()


port, program = int(sys.argv[1]), sys.argv[2:]
server = subprocess.Popen(program)
try:
    stream = connect(port)
    upgrade(stream)
    cuts = len(frame("hello")) + 1
    for cut in range(cuts):
        data = frame("hello")
        stream.sendall(data[:cut])
        successor = subprocess.Popen(program)
        former, server = server, successor
        status = former.wait(timeout=60)
        assert status == 0, f"the process that was replaced ended with status {status}"
        stream.sendall(data[cut:])
        said = answer(stream)
        assert said == f"{cut + 1}: hello", said
    print(f"WHOLE: one WebSocket, {cuts} deploys, one at each byte of a frame")
finally:
    server.kill()
    server.wait()
