/// Python's `ssl` as a peer. It does what its standard input tells it, a command a line:
///
/// - `send TEXT` sends the text and a line end; `repeat N TEXT` sends it N times.
/// - `line` prints the next line it receives; `read N` prints the SHA-256 of the next N bytes.
/// - `end` prints `END` once it has received a close_notify.
/// - `shut` sends a close_notify, prints `SHUT` and keeps reading.
enum PythonPeer {
    static let client =
        """
        import socket, ssl, sys
        context = ssl.create_default_context(cafile=sys.argv[3])
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, sys.argv[1])
        with socket.create_connection(('127.0.0.1', int(sys.argv[2]))) as s:
            with context.wrap_socket(s, server_hostname='localhost', suppress_ragged_eofs=False) as t:

        """ + commands

    static let server =
        """
        import socket, ssl, sys
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, sys.argv[1])
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        with socket.create_server(('127.0.0.1', 0)) as l:
            print('PORT', l.getsockname()[1], flush=True)
            with context.wrap_socket(l.accept()[0], server_side=True, suppress_ragged_eofs=False) as t:

        """ + commands

    private static let commands = """
                import hashlib
                received = b''
                for command in sys.stdin:
                    verb, _, rest = command.rstrip('\\n').partition(' ')
                    if verb == 'send':
                        t.sendall((rest + '\\n').encode())
                    elif verb == 'repeat':
                        count, _, text = rest.partition(' ')
                        t.sendall((text + '\\n').encode() * int(count))
                    elif verb == 'line':
                        while b'\\n' not in received:
                            received += t.recv(65536) or sys.exit('closed instead of a line')
                        line, _, received = received.partition(b'\\n')
                        print(line.decode(), flush=True)
                    elif verb == 'read':
                        while len(received) < int(rest):
                            received += t.recv(65536) or sys.exit('closed after %d bytes' % len(received))
                        print('SHA-256', hashlib.sha256(received[:int(rest)]).hexdigest(), flush=True)
                        received = received[int(rest):]
                    elif verb == 'end':
                        # An error where a close_notify has been sent before.
                        try:
                            print('END' if t.recv(1) == b'' else 'MORE', flush=True)
                        except ssl.SSLZeroReturnError:
                            print('END', flush=True)
                    elif verb == 'shut':
                        t.setblocking(False)
                        try:
                            t.unwrap()
                        except ssl.SSLWantReadError:
                            pass
                        t.setblocking(True)
                        print('SHUT', flush=True)
        """
}
