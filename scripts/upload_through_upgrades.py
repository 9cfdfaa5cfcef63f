#!/usr/bin/env python3
"""Uploads without an end through workers that pass the connection on at every record, while the server is upgraded all the
time, for a bounded time. Fails if a byte is lost or changed, if a process dies, or if anything is in the folder of reports.

    upload_through_upgrades.py BATON SECONDS [REPORTS]
"""
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

PIECE = 16 << 20
INTERVAL = 0.2


def receive(connection, count):
    data = bytearray()
    while len(data) < count:
        part = connection.recv(min(count - len(data), 1 << 16))
        if not part:
            raise EOFError("closed")
        data += part
    return bytes(data)


def sink(listener):
    """Answers each piece, which comes with its length before it, with its digest."""

    def serve(connection):
        with connection:
            try:
                while True:
                    left = struct.unpack(">Q", receive(connection, 8))[0]
                    digest = hashlib.sha256()
                    while left:
                        part = connection.recv(min(left, 1 << 16))
                        if not part:
                            return
                        digest.update(part)
                        left -= len(part)
                    connection.sendall(digest.digest())
            except (OSError, EOFError):
                pass

    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def upload(port, end, result):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    blob = os.urandom(1 << 20)
    total = 0
    try:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port))) as connection:
            connection.settimeout(120)
            while time.monotonic() < end:
                connection.sendall(struct.pack(">Q", PIECE))
                digest = hashlib.sha256()
                for start in range(0, PIECE, 65521):
                    part = (blob[start % len(blob):] + blob)[: min(65521, PIECE - start)]
                    digest.update(part)
                    connection.sendall(part)
                if receive(connection, 32) != digest.digest():
                    raise ValueError("other bytes arrived")
                total += PIECE
        result.append((total, None))
    except Exception as error:
        result.append((total, error))


def main():
    program, seconds = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    reports = sys.argv[3] if len(sys.argv) > 3 else None
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=sink, args=(listener,), daemon=True).start()
    folder = tempfile.mkdtemp()
    control, log = f"{folder}/c.sock", f"{folder}/log"
    with open(log, "wb") as output:
        subprocess.Popen(
            [program, "serve", "--listen", "127.0.0.1:0", "--workers", "3", "--move-every", "1", "--control", control]
            + ["--upstream", f"127.0.0.1:{listener.getsockname()[1]}"],
            stderr=output, stdin=subprocess.DEVNULL)
    text = lambda: open(log, errors="replace").read()
    limit = time.monotonic() + 120
    while "] serving" not in text():
        if time.monotonic() > limit:
            sys.exit(f"the server does not start: {text()}")
        time.sleep(0.05)
    port = int(re.search(r"address=127\.0\.0\.1:(\d+)", text())[1])
    end, result = time.monotonic() + seconds, []
    client = threading.Thread(target=upload, args=(port, end, result))
    client.start()
    upgrades, failed = 0, []
    while client.is_alive():
        begin = time.monotonic()
        done = subprocess.run([program, "upgrade", "--control", control], capture_output=True, text=True)
        if done.returncode == 0:
            upgrades += 1
        else:
            failed.append(done.stderr.strip())
        time.sleep(max(0, begin + INTERVAL - time.monotonic()))
    client.join()
    status = subprocess.run([program, "status", "--json", "--control", control], capture_output=True, text=True)
    if status.returncode == 0:
        os.kill(json.loads(status.stdout)["pid"], signal.SIGTERM)
    limit = time.monotonic() + 60
    while os.path.exists(control) and time.monotonic() < limit:
        time.sleep(0.1)
    total, error = result[0]
    print(f"{total >> 20} MiB through {upgrades} upgrades, {len(failed)} of them refused")
    faults = [line for line in text().splitlines() if re.search(r"has died|Sanitizer|double free|corrupt|invalid", line)]
    faults += [f"the upload: {error!r}"] if error else []
    faults += [f"an upgrade: {line}" for line in set(failed)]
    faults += [f"the server did not end; its log is {log}"] if os.path.exists(control) else []
    if reports:
        faults += [f"{reports}/{name}" for name in os.listdir(reports)]
    if upgrades == 0:
        faults += ["no upgrade succeeded"]
    if faults:
        sys.exit("\n".join(faults + [f"the server's log: {log}"]))
    shutil.rmtree(folder)


main()
