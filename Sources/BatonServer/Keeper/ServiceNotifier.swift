internal import Libc

/// Tells the service manager (sd_notify(3)); nothing where NOTIFY_SOCKET is not set. It never waits: what a manager whose queue
/// is full does not take is kept, in order.
struct ServiceNotifier {
    private static let most = 64
    private var waiting: [String] = []

    var hasWaiting: Bool { !waiting.isEmpty }

    mutating func send(_ notification: ServiceNotification) {
        if waiting.count == Self.most { waiting.removeFirst() }
        waiting.append(notification.text)
        flush()
    }

    mutating func flush() {
        while let text = waiting.first, Self.write(text) { waiting.removeFirst() }
    }

    /// `false`: to be tried again.
    private static func write(_ text: String) -> Bool {
        guard let path = getenv("NOTIFY_SOCKET").map({ String(cString: $0) }), path.utf8.count <= 107,
            path.hasPrefix("/") || path.hasPrefix("@")
        else { return true }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { target in
            target.copyBytes(from: path.utf8)
            // An abstract socket begins with NUL and has no NUL at its end.
            if path.hasPrefix("@") { target[0] = 0 }
        }
        let descriptor = socket(AF_UNIX, SocketKind.datagram | SocketKind.closeOnExec, 0)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + path.utf8.count)
        let bytes = Array(text.utf8)
        let result = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), $0, length)
            }
        }
        return result >= 0 || errno != EAGAIN
    }
}
