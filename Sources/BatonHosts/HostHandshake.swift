package import BatonCore
package import HostMigration
internal import Libc
package import TLSHandshake

/// Performs a handshake on a socket that does not block.
package enum HostHandshake {
    /// Waits for the other host's part until `deadline`.
    ///
    /// - Throws: `.unverified` if the handshake fails; the other host has been told why then. `.linkEnded`, `.timedOut`.
    package static func establish(
        _ handshake: consuming Handshake, _ socket: HostSocket, _ deadline: Deadline
    ) throws(MigrationError) -> Handshake {
        var handshake = handshake
        while true {
            let progress: Handshake.Progress
            do throws(HandshakeError) {
                progress = try handshake.advance()
            } catch {
                // The alert says why.
                try? write(&handshake, socket, deadline)
                throw MigrationError(.unverified, "\(error)")
            }
            // What is left to write is the connection's.
            if progress == .established { return handshake }
            try write(&handshake, socket, deadline)
            try read(&handshake, socket, deadline)
        }
    }

    private static func write(
        _ handshake: inout Handshake, _ socket: HostSocket, _ deadline: Deadline
    ) throws(MigrationError) {
        while handshake.outgoingCount > 0 {
            let count = try handshake.withOutgoing { (bytes) throws(MigrationError) in try socket.write(bytes) }
            handshake.didWrite(count)
            if count == 0 { try socket.wait(POLLOUT, until: deadline) }
        }
    }

    private static func read(
        _ handshake: inout Handshake, _ socket: HostSocket, _ deadline: Deadline
    ) throws(MigrationError) {
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let result = buffer.withUnsafeMutableBytes { space in
                Result { () throws(MigrationError) in try socket.read(into: space) }
            }
            if let count = try result.get() { return handshake.receive(buffer.span.bytes.extracting(first: count)) }
            try socket.wait(POLLIN, until: deadline)
        }
    }
}
