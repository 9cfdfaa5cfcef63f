// What glibc's headers declare as enumerations, and musl's as macros.

/// Types of sockets, and the flags that socket(2) and socketpair(2) take with them.
package enum SocketKind {
    #if canImport(Glibc)
        package static let stream = CInt(SOCK_STREAM.rawValue)
        package static let datagram = CInt(SOCK_DGRAM.rawValue)
        package static let sequencedPackets = CInt(SOCK_SEQPACKET.rawValue)
        package static let closeOnExec = CInt(SOCK_CLOEXEC.rawValue)
        package static let nonBlocking = CInt(SOCK_NONBLOCK.rawValue)
    #else
        package static let stream = CInt(SOCK_STREAM)
        package static let datagram = CInt(SOCK_DGRAM)
        package static let sequencedPackets = CInt(SOCK_SEQPACKET)
        package static let closeOnExec = CInt(SOCK_CLOEXEC)
        package static let nonBlocking = CInt(SOCK_NONBLOCK)
    #endif
}
