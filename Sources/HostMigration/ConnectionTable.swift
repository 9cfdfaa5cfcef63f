import BatonCore
import Libc

/// The TCP connections that the kernel has, whosever they are, in the network namespace of the calling thread.
enum ConnectionTable {
    /// Those whose address at this end is one of `addresses`, also while their handshake is under way. A connection in
    /// TIME_WAIT has nothing to say that its peer needs.
    static func flows(of addresses: Set<IPAddress>) throws(MigrationError) -> Set<Flow> {
        var flows: Set<Flow> = []
        for name in ["tcp", "tcp6"] {
            guard let text = try contents("/proc/thread-self/net/" + name) else { continue }
            for line in text.split(separator: UInt8(ascii: "\n")).dropFirst() {
                guard let flow = flow(line), addresses.contains(flow.local.address) else { continue }
                flows.insert(flow)
            }
        }
        return flows
    }

    /// A line of the table: its number, both ends and the state in hexadecimal, and what is of no interest here.
    static func flow(_ line: some Collection<UInt8>) -> Flow? {
        let words = line.split(separator: UInt8(ascii: " "), maxSplits: 4)
        guard words.count >= 4, let state = UInt8(String(decoding: words[3], as: UTF8.self), radix: 16),
            !passive.contains(state), let local = endpoint(words[1]), let remote = endpoint(words[2])
        else { return nil }
        return Flow(local: local, remote: remote)
    }

    /// TIME_WAIT, CLOSE and LISTEN.
    private static let passive: Set<UInt8> = [6, 7, 10]

    /// The address is written as numbers of 32 bits, each in the machine's order, the port as a number.
    private static func endpoint(_ word: some Collection<UInt8>) -> Endpoint? {
        let parts = word.split(separator: UInt8(ascii: ":"))
        guard parts.count == 2, parts[0].count % 8 == 0,
            let port = UInt16(String(decoding: parts[1], as: UTF8.self), radix: 16)
        else { return nil }
        var octets: [UInt8] = []
        var digits = parts[0][...]
        while !digits.isEmpty {
            guard let number = UInt32(String(decoding: digits.prefix(8), as: UTF8.self), radix: 16) else { return nil }
            withUnsafeBytes(of: number) { octets += $0 }
            digits = digits.dropFirst(8)
        }
        return IPAddress(octets: octets).map { Endpoint($0.unmapped, port: port) }
    }

    /// The file; nil if this kernel does not have it, for want of IPv6.
    private static func contents(_ path: String) throws(MigrationError) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        if file < 0, errno == ENOENT { return nil }
        let descriptor = Descriptor(owning: try checkedErrno(file, path))
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor.number, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .call("read \(path)", errno) }
            if count == 0 { return bytes }
            bytes += piece[..<count]
        }
    }
}
