import Libc

/// An open file descriptor with one owner, closed with it.
struct Descriptor: ~Copyable, Sendable {
    let number: Int32

    init(owning number: Int32) {
        self.number = number
    }

    deinit {
        close(number)
    }

    /// Ends the ownership without closing.
    consuming func release() -> Int32 {
        let number = number
        discard self
        return number
    }
}
