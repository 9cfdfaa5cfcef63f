#!/usr/bin/env python3
"""A worker for `baton serve`: takes live TLS connections whose first request the server has read, answers that request and those
that follow, and hands the connections on to another worker when it ends.

    worker.py SOCKET [OTHER]        connections come to SOCKET; on SIGTERM they go to the worker at OTHER
"""
import os
import resource
import selectors
import signal
import sys
import time

import baton

MOST_WAITING = 1 << 20
LONGEST_HEAD = 16384
LONGEST_BODY = 1 << 20
MOST_SESSIONS = 10000
# How often a socket is read before it is the others' turn.
MOST_FILLS = 16
# What is offered at once: each connection needs a second descriptor meanwhile, and all of it is in memory twice.
MOST_ITEMS = 200
MOST_BYTES = 8 << 20
# All in seconds: for a client that does nothing; for one to take its end; for the other worker to take all connections; and for those
# that nobody takes to take what is left for them.
IDLE_TIME = 300
LINGER_TIME = 5
HAND_ON_TIME = 30
LAST_WAIT = 30


class Session:
    """A client: what it has sent and was not answered yet, and how far its connection has come."""

    def __init__(self, connection, received):
        self.connection, self.received = connection, bytearray(received)
        self.count = 0
        self.is_last = False
        self.is_finished = False
        self.events = 0
        self.limit = time.monotonic() + IDLE_TIME

    def go_on(self):
        """Does what can be done without waiting. Returns the events to wait for; 0: it is over."""
        connection = self.connection
        if self.is_finished:
            return selectors.EVENT_READ if connection.discard() else 0
        self.limit = time.monotonic() + IDLE_TIME
        self.answer()
        fills, is_flushed, is_dry = 0, True, False
        # What is decrypted and not read makes no socket readable: once all is flushed, go on with it at once.
        while is_flushed and not is_dry and not self.is_last:
            # A client that does not read is not read either.
            while not is_dry and not self.is_last and connection.outgoing_count < MOST_WAITING:
                plaintext = connection.read()
                if plaintext:
                    self.received += plaintext
                    self.answer()
                elif plaintext == b'':
                    self.end()
                elif fills < MOST_FILLS and connection.fill():
                    fills += 1
                else:
                    is_dry = True
            is_flushed = connection.flush()
        if self.is_last:
            return self.finish() if connection.flush() else selectors.EVENT_WRITE
        if is_flushed:
            return selectors.EVENT_READ
        return selectors.EVENT_WRITE | (selectors.EVENT_READ if is_dry else 0)

    def finish(self):
        """The answer is out. A socket that is closed with bytes to be read would be reset, and the answer lost with it."""
        self.is_finished = True
        self.limit = time.monotonic() + LINGER_TIME
        self.connection.finish()
        return selectors.EVENT_READ

    def answer(self):
        """Answers every request that is whole."""
        while not self.is_last:
            end = self.received.find(b'\r\n\r\n')
            if end < 0:
                if len(self.received) > LONGEST_HEAD:
                    self.say(431, 'Request Header Fields Too Large', '', is_last=True)
                return
            line, *fields = self.received[:end].decode('latin-1').split('\r\n')
            headers = {name.strip().lower(): value.strip() for name, _, value in (field.partition(':') for field in fields)}
            words = line.split(' ')
            length = headers.get('content-length', '0')
            if len(words) != 3 or 'transfer-encoding' in headers or not (length.isascii() and length.isdigit()):
                return self.say(400, 'Bad Request', '', is_last=True)
            if len(length) > 7 or int(length) > LONGEST_BODY:
                return self.say(413, 'Content Too Large', '', is_last=True)
            if len(self.received) < end + 4 + int(length):
                return
            del self.received[:end + 4 + int(length)]
            self.count += 1
            self.say(200, 'OK', f'process {os.getpid()} answers {words[1]}, request {self.count} it saw here\n',
                     is_last=headers.get('connection', '').lower() == 'close' or words[2] != 'HTTP/1.1')

    def say(self, status, reason, text, is_last):
        connection = 'Connection: close\r\n' if is_last else ''
        # As the head was decoded: the bytes of a path come back as they were.
        body = text.encode('latin-1')
        head = f'HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n{connection}\r\n'
        self.connection.write(head.encode() + body)
        if is_last:
            self.end()

    def refuse(self):
        self.say(503, 'Service Unavailable', '', is_last=True)

    def end(self):
        self.is_last = True
        self.connection.close()


class Worker:
    def __init__(self, path, other):
        self.other = other
        self.inbox = baton.Inbox(path)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.inbox.descriptor, selectors.EVENT_READ, self.take_arrivals)
        self.sessions = set()
        self.is_stopping = self.is_ending = False
        self.next_look = 0
        # A signal is an event like the others.
        self.asked, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write)
        signal.signal(signal.SIGTERM, lambda *_: None)
        self.selector.register(self.asked, selectors.EVENT_READ, self.stop)

    def run(self):
        while not self.is_ending:
            self.turn()
        self.selector.unregister(self.inbox.descriptor)
        self.inbox.free()
        self.hand_on()
        end = time.monotonic() + LAST_WAIT
        while self.sessions and time.monotonic() < end:
            self.turn()

    def turn(self):
        for key, _ in self.selector.select(1):
            # A session may have gone with an event before this one.
            if callable(key.data):
                key.data()
            elif key.data in self.sessions:
                self.serve(key.data)
        now = time.monotonic()
        if now < self.next_look:
            return
        self.next_look = now + 1
        for session in [session for session in self.sessions if session.limit < now]:
            if not session.is_last:
                self.try_to(session.end)
            self.try_to(session.connection.flush)
            self.forget(session)

    def take_arrivals(self):
        while arrival := self.inbox.take():
            session = Session(*arrival)
            self.sessions.add(session)
            if len(self.sessions) > MOST_SESSIONS:
                self.try_to(session.refuse)
            self.serve(session)
        # What was accepted before the stop has come, too.
        self.is_ending = arrival is False

    def stop(self):
        os.read(self.asked, 4096)
        if not self.is_stopping:
            self.is_stopping = True
            self.inbox.stop()

    def serve(self, session):
        try:
            events = session.go_on()
        except baton.Error as error:
            print(f'a connection has ended: {error}', flush=True)
            # The alert that says why, if there is one.
            self.try_to(session.connection.flush)
            events = 0
        if not events:
            self.forget(session)
        elif events != session.events:
            self.unwatch(session)
            session.events = events
            self.selector.register(session.connection.descriptor, events, session)

    @staticmethod
    def try_to(step):
        try:
            step()
        except baton.Error:
            pass  # The peer is gone.

    def unwatch(self, session):
        if session.events:
            self.selector.unregister(session.connection.descriptor)
        session.events = 0

    def forget(self, session):
        self.unwatch(session)
        self.sessions.discard(session)
        session.connection.free()

    def hand_on(self):
        """Hands every connection on, at whatever byte it is. The other worker gets what this one has read and not answered. A session
        whose last answer is written stays, until its client has taken it."""
        sessions = [session for session in self.sessions if not session.is_last]
        waiting = batches(sessions) if self.other else []
        for session in sessions:
            session.connection.suspend()
        end = time.monotonic() + HAND_ON_TIME
        count, reason = 0, None
        while waiting:
            some = waiting.pop()
            fates, problem, was_asked = baton.offer(
                self.other, [(session.connection, bytes(session.received)) for session in some],
                max(0, end - time.monotonic()))
            back = [session for session, fate in zip(some, fates) if fate == baton.RETURNED]
            for session, fate in zip(some, fates):
                if fate != baton.RETURNED:
                    count += fate == baton.HANDED_OVER
                    self.forget(session)
            if was_asked and back and len(some) > 1 and time.monotonic() < end:
                # What is too much at once, for this process or for the other one, may go in halves.
                half = (len(back) + 1) // 2
                waiting += [part for part in (back[:half], back[half:]) if part]
            else:
                reason = reason or problem
        if reason:
            print(f'not all could be handed on: {reason}', flush=True)
        print(f'process {os.getpid()} has handed on {count} connections', flush=True)
        for session in sessions:
            # Nobody takes it: it ends in order.
            if session in self.sessions:
                session.connection.resume()
                self.try_to(session.end)
                self.serve(session)


def batches(sessions):
    """At most MOST_ITEMS sessions each, with MOST_BYTES of what goes with them, unless one alone has more."""
    result, size = [], 0
    for session in sessions:
        count = len(session.received) + session.connection.outgoing_count
        if result and len(result[-1]) < MOST_ITEMS and size + count <= MOST_BYTES:
            result[-1].append(session)
            size += count
        else:
            result.append([session])
            size = count
    return result


def main():
    if not 2 <= len(sys.argv) <= 3:
        sys.exit('usage: worker.py SOCKET [OTHER]')
    # Each connection is a descriptor, and the usual limit is a low one.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        worker = Worker(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else None)
    except baton.Error as error:
        sys.exit(f'worker.py: {error}')
    print(f'process {os.getpid()} waits for connections at {sys.argv[1]}', flush=True)
    worker.run()


main()
