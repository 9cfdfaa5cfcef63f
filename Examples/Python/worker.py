#!/usr/bin/env python3
"""A worker for `baton serve`: takes live TLS connections whose first request the server has read, answers that request and those
that follow, and hands the connections on to another worker when it ends.

    worker.py SOCKET [OTHER]        connections come to SOCKET; on SIGTERM they go to the worker at OTHER
"""
import os
import selectors
import signal
import sys

import baton

MOST_WAITING = 1 << 20
LONGEST_HEAD = 16384
LONGEST_BODY = 1 << 20


class Session:
    """A client: what it has sent and was not answered yet, and how far its connection has come."""

    def __init__(self, connection, received):
        self.connection, self.received = connection, bytearray(received)
        self.count = 0
        self.is_last = False
        self.events = 0

    def go_on(self):
        """Does what can be done without waiting. Returns the events to wait for; 0: it is over."""
        connection = self.connection
        self.answer()
        # A client that does not read is not read either.
        while not self.is_last and connection.outgoing_count < MOST_WAITING:
            plaintext = connection.read()
            if plaintext:
                self.received += plaintext
                self.answer()
            elif plaintext == b'':
                self.end()
            elif not connection.fill():
                break
        if connection.flush():
            return 0 if self.is_last else selectors.EVENT_READ
        is_full = self.is_last or connection.outgoing_count >= MOST_WAITING
        return selectors.EVENT_WRITE | (0 if is_full else selectors.EVENT_READ)

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
        head = f'HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n{connection}\r\n'
        self.connection.write((head + text).encode())
        if is_last:
            self.end()

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
        self.is_ending = False
        # A signal is an event like the others.
        self.asked, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write)
        signal.signal(signal.SIGTERM, lambda *_: None)
        self.selector.register(self.asked, selectors.EVENT_READ, self.stop)

    def run(self):
        while not self.is_ending:
            for key, _ in self.selector.select():
                # A session may have gone with an event before this one.
                if callable(key.data):
                    key.data()
                elif key.data in self.sessions:
                    self.serve(key.data)
        self.hand_on()

    def take_arrivals(self):
        while arrival := self.inbox.take():
            session = Session(*arrival)
            self.sessions.add(session)
            self.serve(session)
        # What was accepted before the stop has come, too.
        self.is_ending = arrival is False

    def stop(self):
        os.read(self.asked, 4096)
        self.inbox.stop()

    def serve(self, session):
        try:
            events = session.go_on()
        except baton.Error as error:
            print(f'a connection has ended: {error}', flush=True)
            self.try_last_words(session)
            events = 0
        if events == session.events and events:
            return
        descriptor = session.connection.descriptor
        if session.events:
            self.selector.unregister(descriptor)
        session.events = events
        if events:
            self.selector.register(descriptor, events, session)
        else:
            self.forget(session)

    @staticmethod
    def try_last_words(session):
        """The alert that says why, if there is one."""
        try:
            session.connection.flush()
        except baton.Error:
            pass

    def forget(self, session):
        self.sessions.discard(session)
        session.connection.free()

    def hand_on(self):
        """Hands every connection on, at whatever byte it is. The other worker gets what this one has read and not answered."""
        sessions = [session for session in self.sessions if not session.is_last] if self.other else []
        for session in sessions:
            session.connection.suspend()
        fates, reason = baton.offer(
            self.other, [(session.connection, bytes(session.received)) for session in sessions])
        if reason:
            print(f'not all could be handed on: {reason}', flush=True)
        for session, fate in zip(sessions, fates):
            if fate == baton.RETURNED:
                session.connection.resume()
            else:
                self.forget(session)
        print(f'process {os.getpid()} has handed on {fates.count(baton.HANDED_OVER)} connections', flush=True)
        for session in list(self.sessions):
            # Nobody takes it: it ends in order.
            try:
                session.end()
                session.connection.flush()
            except baton.Error:
                pass
            self.forget(session)
        self.inbox.free()


def main():
    if not 2 <= len(sys.argv) <= 3:
        sys.exit('usage: worker.py SOCKET [OTHER]')
    try:
        worker = Worker(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else None)
    except baton.Error as error:
        sys.exit(f'worker.py: {error}')
    print(f'process {os.getpid()} waits for connections at {sys.argv[1]}', flush=True)
    worker.run()


main()
