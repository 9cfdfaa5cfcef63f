internal import Libc

/// The places at which a death could do harm: between the stores that publish, and around the system calls that move bytes.
///
/// In a debug build a test has a process die at one of its choice; otherwise there is nothing here.
package enum Step {
    #if DEBUG
        /// How many steps this process goes before its last; `nil`: there is no last.
        nonisolated(unsafe) package static var left: Int?
        /// What is done at the last step.
        nonisolated(unsafe) package static var last: @Sendable () -> Void = { kill(getpid(), SIGKILL) }
        /// The process traps at a record's content, or at plain input, that begins with this; empty: at none.
        nonisolated(unsafe) package static var poison: [UInt8] = []
    #endif

    @inline(__always)
    static func pass() {
        #if DEBUG
            guard let steps = left else { return }
            if steps == 0 { last() }
            left = steps - 1
        #endif
    }

    @inline(__always)
    static func take(_ content: UnsafeRawBufferPointer) {
        #if DEBUG
            if !poison.isEmpty, content.starts(with: poison) { fatalError("a test wants this content to be a fault") }
        #endif
    }
}
