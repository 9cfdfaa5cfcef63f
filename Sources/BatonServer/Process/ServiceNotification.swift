internal import BatonCore
internal import Dispatch
internal import Glibc

/// What systemd is told (sd_notify(3)); nothing where NOTIFY_SOCKET is not set.
enum ServiceNotification {
    /// Ready to serve; the service's main process is this one from now on.
    static func ready() { send("READY=1\nMAINPID=\(getpid())\n") }
    static func reloading() { send("RELOADING=1\nMONOTONIC_USEC=\(MonotonicTime.now / 1000)\n") }
    static func stopping() { send("STOPPING=1\n") }

    /// In their order, and not on the event loop: a service manager whose queue is full would keep it.
    private static let queue = DispatchQueue(label: "baton.notify")

    private static func send(_ text: String) { queue.async { write(text) } }

    private static func write(_ text: String) {
        guard let path = getenv("NOTIFY_SOCKET").map({ String(cString: $0) }), path.utf8.count <= 107,
            path.hasPrefix("/") || path.hasPrefix("@")
        else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { target in
            target.copyBytes(from: path.utf8)
            // An abstract socket begins with NUL and has no NUL at its end.
            if path.hasPrefix("@") { target[0] = 0 }
        }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + path.utf8.count)
        let bytes = Array(text.utf8)
        withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
        close(descriptor)
    }
}
