package import Libc

/// Wakes a thread that waits in poll(2).
package final class WakePipe: Sendable {
    package let descriptor: CInt
    private let writer: CInt

    package init() throws(HandoffError) {
        var ends: [2 of CInt] = [-1, -1]
        let result = withUnsafeMutablePointer(to: &ends) {
            $0.withMemoryRebound(to: CInt.self, capacity: 2) {
                // Unlike pipe(2) it leaves no moment at which another thread's fork could inherit the ends.
                socketpair(
                    AF_UNIX,
                    SocketKind.stream | SocketKind.closeOnExec | SocketKind.nonBlocking, 0, $0)
            }
        }
        guard result == 0 else { throw .system("cannot make a socket pair", -errno) }
        descriptor = ends[0]
        writer = ends[1]
    }

    deinit {
        Libc.close(descriptor)
        Libc.close(writer)
    }

    package func wake() {
        var byte: UInt8 = 0
        // A full pipe wakes as well as one byte does.
        _ = Libc.write(writer, &byte, 1)
    }

    /// Forgets that it was woken.
    package func clear() {
        var bytes: [64 of UInt8] = .init(repeating: 0)
        withUnsafeMutableBytes(of: &bytes) { space in
            while Libc.read(descriptor, space.baseAddress, space.count) > 0 {}
        }
    }
}

/// Waits for any of `polled`, at most until `deadline` milliseconds from now; -1 has no limit.
package func pollDescriptors(_ polled: inout [pollfd], milliseconds: CInt) {
    // EINTR is a wake-up like another: callers look at everything again.
    if poll(&polled, nfds_t(polled.count), milliseconds) < 0 {
        for index in polled.indices { polled[index].revents = 0 }
    }
}
