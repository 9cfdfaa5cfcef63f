import Libc

/// An open file descriptor with one owner, closed with it.
package struct Descriptor: ~Copyable, Sendable {
    package let number: Int32

    package init(owning number: Int32) {
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
