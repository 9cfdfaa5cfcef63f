// What glibc's headers declare as enumerations, and musl's as macros.

/// Types of sockets, and the flags that socket(2) and socketpair(2) take with them.
public enum SocketKind {
    #if canImport(Glibc)
        public static let stream = CInt(SOCK_STREAM.rawValue)
        public static let datagram = CInt(SOCK_DGRAM.rawValue)
        public static let sequencedPackets = CInt(SOCK_SEQPACKET.rawValue)
        public static let closeOnExec = CInt(SOCK_CLOEXEC.rawValue)
        public static let nonBlocking = CInt(SOCK_NONBLOCK.rawValue)
    #else
        public static let stream = CInt(SOCK_STREAM)
        public static let datagram = CInt(SOCK_DGRAM)
        public static let sequencedPackets = CInt(SOCK_SEQPACKET)
        public static let closeOnExec = CInt(SOCK_CLOEXEC)
        public static let nonBlocking = CInt(SOCK_NONBLOCK)
    #endif
}
