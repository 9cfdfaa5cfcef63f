public import BatonCore
internal import COpenSSL

extension SecretBytes {
    /// Compares in constant time for equal lengths.
    public borrowing func equals(_ other: borrowing SecretBytes) -> Bool {
        guard count == other.count else { return false }
        return withUnsafeBytes { mine in
            other.withUnsafeBytes { CRYPTO_memcmp(mine.baseAddress, $0.baseAddress, mine.count) == 0 }
        }
    }
}

extension Optional where Wrapped == SecretBytes {
    /// Whether this holds a secret of another length than `expected`.
    borrowing func isWrong(length expected: Int) -> Bool {
        switch self {
        case .none: false
        case .some(let secret): secret.count != expected
        }
    }
}
