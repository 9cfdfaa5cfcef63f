import Libc

/// One read(2) or write(2) on a non-blocking descriptor, with its outcome as a value.
enum NonBlockingIO {
    enum Outcome: Equatable {
        case bytes(Int)
        case wouldBlock
        case end
        case failed(Int32)
    }

    static func read(_ descriptor: Int32, into space: UnsafeMutableRawBufferPointer, upTo most: Int) -> Outcome {
        outcome { Libc.read(descriptor, space.baseAddress, min(space.count, most)) }
    }

    static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Outcome {
        outcome { Libc.write(descriptor, bytes.baseAddress, bytes.count) }
    }

    static func setNonBlocking(_ descriptor: Int32) {
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    private static func outcome(_ call: () -> Int) -> Outcome {
        while true {
            let count = call()
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            default: return .failed(errno)
            }
        }
    }
}
