"""libbaton by ctypes: what a worker needs of baton.h, with exceptions in place of codes.

BATON_LIBRARY names the library's file; otherwise the loader finds libbaton.so where it finds others.
"""
import ctypes
import os
import socket
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p

OK, WAIT, END = 0, 1, 2
HANDED_OVER, RETURNED, CLOSED = 1, 2, 3


class _Error(ctypes.Structure):
    _fields_ = [('code', c_int), ('system_error', c_int), ('message', c_char * 240)]


class _Item(ctypes.Structure):
    _fields_ = [('connection', c_void_p), ('socket', c_int), ('state', c_void_p), ('state_count', c_size_t),
                ('fate', c_int)]


class _Arrival(ctypes.Structure):
    _fields_ = [('connection', c_void_p), ('socket', c_int), ('state', c_void_p), ('state_count', c_size_t),
                ('moves', c_uint32)]


class Error(Exception):
    """A call has failed; `code` is a baton_code."""

    def __init__(self, error):
        super().__init__(error.message.decode(errors='replace'))
        self.code = error.code


# Without these ctypes would cut pointers to the size of an int.
_library = ctypes.CDLL(os.environ.get('BATON_LIBRARY', 'libbaton.so'))
for _name, _result, *_arguments in [
    ('connection_free', None, c_void_p),
    ('read', c_int, c_void_p, c_void_p, c_size_t, POINTER(c_size_t), POINTER(_Error)),
    ('write', c_int, c_void_p, c_char_p, c_size_t, POINTER(_Error)),
    ('close', c_int, c_void_p, POINTER(_Error)),
    ('outgoing_count', c_size_t, c_void_p),
    ('fill', c_int, c_void_p, c_int, POINTER(_Error)),
    ('flush', c_int, c_void_p, c_int, POINTER(_Error)),
    ('suspend', c_int, c_void_p, POINTER(_Error)),
    ('resume', c_int, c_void_p, POINTER(_Error)),
    ('sender_connect', c_void_p, c_char_p, c_uint64, POINTER(_Error)),
    ('sender_free', None, c_void_p),
    ('offer', c_int, c_void_p, POINTER(_Item), c_size_t, c_uint64, POINTER(_Error)),
    ('inbox_listen', c_void_p, c_char_p, POINTER(_Error)),
    ('inbox_descriptor', c_int, c_void_p),
    ('inbox_take', c_int, c_void_p, POINTER(_Arrival), POINTER(_Error)),
    ('arrival_clear', None, POINTER(_Arrival)),
    ('inbox_stop', c_int, c_void_p, POINTER(_Error)),
    ('inbox_free', None, c_void_p),
]:
    _function = getattr(_library, 'baton_' + _name)
    _function.restype, _function.argtypes = _result, _arguments


def _call(name, *arguments):
    """Calls a function that returns a code or an object; its error is raised."""
    error = _Error()
    result = getattr(_library, 'baton_' + name)(*arguments, byref(error))
    if result is None or result < 0:
        raise Error(error)
    return result


class Connection:
    """A live TLS connection and its socket, which is closed with it."""

    def __init__(self, handle, descriptor):
        self._handle, self.descriptor = handle, descriptor
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)
        self._buffer = ctypes.create_string_buffer(16384)

    def free(self):
        """Lets go of it here. The peer is told nothing but the end of the socket, if this is the last process that has it."""
        _library.baton_connection_free(self._handle)
        self._socket.close()
        self._handle = None

    def fill(self):
        """Reads the socket once; False: it has nothing."""
        return _call('fill', self._handle, self.descriptor) == OK

    def read(self):
        """Plaintext; None: there is none yet; b'': the peer has ended its side in order."""
        count = c_size_t()
        code = _call('read', self._handle, self._buffer, len(self._buffer), byref(count))
        return self._buffer.raw[:count.value] if code == OK else None if code == WAIT else b''

    def write(self, plaintext):
        _call('write', self._handle, plaintext, len(plaintext))

    def close(self):
        """Ends this side; flush what is outgoing then."""
        _call('close', self._handle)

    @property
    def outgoing_count(self):
        """Whenever this is not 0 there is something to write."""
        return _library.baton_outgoing_count(self._handle)

    def flush(self):
        """Writes what is outgoing; False: the socket takes no more for now."""
        return _call('flush', self._handle, self.descriptor) == OK

    def finish(self):
        """Sends a FIN behind what was flushed."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # The peer is gone.

    def discard(self):
        """Throws away what the peer sends; False: it sends nothing more."""
        try:
            return bool(self._socket.recv(65536))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def suspend(self):
        _call('suspend', self._handle)

    def resume(self):
        _call('resume', self._handle)


class Inbox:
    """Takes connections at a Unix socket."""

    def __init__(self, path):
        self._handle = _call('inbox_listen', os.fsencode(path))
        self.descriptor = _library.baton_inbox_descriptor(self._handle)

    def take(self):
        """A connection and what its former owner has told of it; None: there is none; False: nothing more comes."""
        arrival = _Arrival()
        code = _call('inbox_take', self._handle, byref(arrival))
        if code != OK:
            return None if code == WAIT else False
        state = ctypes.string_at(arrival.state, arrival.state_count) if arrival.state_count else b''
        _library.baton_arrival_clear(byref(arrival))
        return Connection(arrival.connection, arrival.socket), state

    def stop(self):
        _call('inbox_stop', self._handle)

    def free(self):
        _library.baton_inbox_free(self._handle)


def offer(path, connections, timeout):
    """Offers suspended connections, each with its state, to the process that listens at `path`, within so many seconds. Returns the
    fate of each, why not all have been handed over, and whether there was anybody to ask."""
    milliseconds = int(1000 * timeout)
    try:
        sender = _call('sender_connect', os.fsencode(path), milliseconds)
    except Error as error:
        return [RETURNED] * len(connections), str(error), False
    items = (_Item * len(connections))()
    for item, (connection, state) in zip(items, connections):
        item.connection, item.socket = connection._handle, connection.descriptor
        item.state, item.state_count = ctypes.cast(c_char_p(state), c_void_p), len(state)
    reason = None
    try:
        _call('offer', sender, items, len(connections), milliseconds)
    except Error as error:
        reason = str(error)
    _library.baton_sender_free(sender)
    # What has met no fate is the caller's still.
    return [item.fate or RETURNED for item in items], reason, True
