internal import COpenSSL
internal import Synchronization

/// The ticket keys of a context, replaced while connections use them.
final class TicketKeyStore: Sendable {
    private let keys: Mutex<TicketKeys>

    init(_ keys: consuming TicketKeys) { self.keys = Mutex(keys) }

    func replace(_ new: consuming TicketKeys) {
        // A closure cannot consume what it captures.
        var new: TicketKeys? = consume new
        keys.withLock { keys in
            if let new = new.take() { keys = new }
        }
    }

    func copy() -> TicketKeys { keys.withLock { $0.copy() } }

    /// Sets up the sealing of a new ticket under the current key. False if libcrypto failed.
    func seal(
        name: UnsafeMutablePointer<UInt8>, iv: UnsafeMutablePointer<UInt8>, cipher: OpaquePointer, mac: OpaquePointer
    ) -> Bool {
        keys.withLock { keys in
            for (offset, byte) in keys.currentName.enumerated() { name[offset] = byte }
            guard RAND_bytes(iv, 16) == 1 else { return false }
            return keys.withKey(at: 0) { macKey, cipherKey in
                EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nil, cipherKey, iv) == 1
                    && baton_ticket_mac_init(mac, macKey) == 1
            }
        }
    }

    enum Opening {
        case ready(isCurrent: Bool)
        case unknownKey
        case failed
    }

    /// Sets up the opening of a ticket under the key it names.
    func open(
        name: UnsafePointer<UInt8>, iv: UnsafePointer<UInt8>, cipher: OpaquePointer, mac: OpaquePointer
    ) -> Opening {
        keys.withLock { keys in
            let name = UnsafeRawBufferPointer(start: name, count: TicketKeys.nameLength)
            guard let index = keys.index(named: name) else { return .unknownKey }
            let isReady = keys.withKey(at: index) { macKey, cipherKey in
                EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nil, cipherKey, iv) == 1
                    && baton_ticket_mac_init(mac, macKey) == 1
            }
            return isReady ? .ready(isCurrent: index == 0) : .failed
        }
    }
}
