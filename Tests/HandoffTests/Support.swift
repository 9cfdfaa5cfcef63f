import BatonCore
import CLinuxSockets
import Glibc
import TLSRecords

@testable import Handoff

/// A moment no test should get to.
func generously() -> Deadline { .after(.seconds(60)) }

/// A TLS 1.3 connection that has just been established, and whose secrets are made of `seed`.
func makeSnapshot(seed: UInt8 = 7, inbound: [UInt8] = []) -> Snapshot? {
    func secret(_ byte: UInt8) -> SecretBytes {
        SecretBytes(count: 32) { target in for index in target.indices { target[index] = byte &+ UInt8(index) } }
    }
    var snapshot = Snapshot(
        established: ConnectionInfo(role: .server, suite: .aes128GCM, serverName: "example.org"),
        read: DirectionState(secret: secret(seed)), write: DirectionState(secret: secret(seed &+ 100)),
        exporter: secret(seed &+ 50))
    inbound.withUnsafeBytes { snapshot?.appendInbound($0) }
    return snapshot
}

/// Two connected sockets of `type`, or nothing if the system gives none.
func socketPair(_ type: Int32 = Int32(SOCK_STREAM.rawValue)) -> (Int32, Int32) {
    var pair: [Int32] = [-1, -1]
    let result = socketpair(AF_UNIX, type | Int32(SOCK_CLOEXEC.rawValue), 0, &pair)
    precondition(result == 0, "no socket pair: \(errorText(errno))")
    return (pair[0], pair[1])
}

/// Two ends of a TCP connection over loopback: the accepted one first.
func tcpPair() -> (Int32, Int32) {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let listener = socket(AF_INET, type, 0)
    defer { close(listener) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let client = socket(AF_INET, type, 0)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            bind(listener, address, length) | listen(listener, 1) | getsockname(listener, address, &length)
                | connect(client, address, length)
        }
    }
    precondition(result == 0, "no TCP connection: \(errorText(errno))")
    let accepted = baton_accept(listener)
    precondition(accepted >= 0)
    return (accepted, client)
}

/// Both ends of a channel within this process.
struct ChannelPair: ~Copyable {
    var owner: OwnerChannel
    var receiver: ReceiverChannel

    init(options: ReceiverOptions = ReceiverOptions()) throws {
        let (ownerEnd, receiverEnd) = socketPair(Int32(SOCK_SEQPACKET.rawValue))
        let ownerSocket = try HandoffSocket.adopting(ownerEnd)
        let receiverSocket = try HandoffSocket.adopting(receiverEnd)
        owner = OwnerChannel(ownerSocket)
        receiver = ReceiverChannel(receiverSocket, options: options)
    }

    /// Lets both ends take steps until the offer is over.
    mutating func settle(_ decide: ReceiverChannel.Decision = { _ in .accept }) throws -> OfferOutcome {
        while true {
            if let outcome = owner.step() { return outcome }
            if case .received = try receiver.step(decide) {
                throw TestFailure("received before the commit was seen to leave")
            }
        }
    }

    /// What the receiver has become the owner of.
    mutating func received() throws -> ParcelBatch {
        switch try receiver.step({ _ in .accept }) {
        case .received(let received): return received.parcels
        case .discarded: return ParcelBatch()
        case .ended: return ParcelBatch()
        case nil: return ParcelBatch()
        }
    }
}

struct TestFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// How many descriptors this process has open, but for the one that counts them.
func openDescriptorCount() -> Int {
    guard let directory = opendir("/proc/self/fd") else { return -1 }
    defer { closedir(directory) }
    var count = -1
    while let entry = readdir(directory) {
        if entry.pointee.d_name.0 != UInt8(ascii: ".") { count += 1 }
    }
    return count
}

/// How many descriptors of this process stand for the same socket as `descriptor`. Unlike the number of all, it does
/// not change with what the test library does at the same time.
func openDescriptorCount(of descriptor: Int32) -> Int {
    guard let directory = opendir("/proc/self/fd") else { return -1 }
    defer { closedir(directory) }
    let number = fileNumber(descriptor)
    var count = 0
    while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if let other = Int32(name), fileNumber(other) == number { count += 1 }
    }
    return count
}

/// Which open file a descriptor stands for.
func fileNumber(_ descriptor: Int32) -> UInt64 {
    var status = stat()
    return fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : 0
}

/// Whether the other end of `descriptor` is closed by everybody, in the end.
func isAtEnd(_ descriptor: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, 20_000) == 1 else { return false }
    var byte: UInt8 = 0
    return recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT)) == 0
}

/// Writes `text` and sees whether it arrives.
func carries(_ text: String, from source: Int32, to target: Int32) -> Bool {
    let bytes = Array(text.utf8)
    guard write(source, bytes, bytes.count) == bytes.count else { return false }
    var read = [UInt8](repeating: 0, count: bytes.count)
    return recv(target, &read, read.count, Int32(MSG_WAITALL)) == read.count && read == bytes
}

/// The code of what `body` throws; `nil`: it throws nothing.
func code(_ body: () throws(HandoffError) -> Void) -> HandoffError.Code? {
    do throws(HandoffError) {
        try body()
        return nil
    } catch {
        return error.code
    }
}

/// A directory of this test's own.
func temporaryDirectory() -> String {
    var template = Array("/tmp/baton-handoff-XXXXXX".utf8CString)
    precondition(mkdtemp(&template) != nil)
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
