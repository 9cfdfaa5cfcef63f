internal import Libc

/// What follows from an error of accept(2).
enum AcceptFailure {
    /// Nobody waits.
    case nobody
    /// It was about that one connection: a network error that was pending on it counts as ours on Linux.
    case passing
    /// Descriptors or memory are missing; the connection waits in the queue.
    case shortage
    /// Nothing will ever be accepted at this socket again.
    case lasting

    init(_ code: CInt) {
        self =
            switch code {
            case EAGAIN: .nobody
            case EINTR, ECONNABORTED, EPROTO, ENOPROTOOPT, EPERM, EOPNOTSUPP, ENETDOWN, ENETUNREACH, EHOSTDOWN,
                EHOSTUNREACH, ENONET, ETIMEDOUT, ECONNRESET:
                .passing
            case EMFILE, ENFILE, ENOBUFS, ENOMEM: .shortage
            default: .lasting
            }
    }
}
