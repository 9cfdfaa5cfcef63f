internal import BatonCore

#if DEBUG
    internal import Synchronization

    /// Records every (key, nonce) that seals a record while it is current, and counts those seen twice.
    ///
    /// It exists in debug builds only: the tests run whole chains of owners under one witness to show that no pair is ever
    /// used twice.
    package final class NonceWitness: Sendable {
        private struct Use: Hashable {
            var key: [UInt8]
            var nonce: Nonce
        }

        private let uses = Mutex<(seen: Set<Use>, repeated: Int)>(([], 0))

        @TaskLocal package static var current: NonceWitness?

        package init() {}

        /// How many (key, nonce) pairs sealed a record.
        package var count: Int { uses.withLock { $0.seen.count } }

        /// How many of them sealed more than one.
        package var repeated: Int { uses.withLock { $0.repeated } }

        func sealed(key: borrowing SecretBytes, nonce: Nonce) {
            let digest = key.withUnsafeBytes { HashFunction.sha256.hash($0) }
            uses.withLock {
                if !$0.seen.insert(Use(key: digest, nonce: nonce)).inserted { $0.repeated += 1 }
            }
        }
    }
#endif
