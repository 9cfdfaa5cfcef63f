internal import BatonConfiguration
internal import BatonCore
internal import CResolver
internal import HostMigration
internal import Libc
internal import NIOCore
internal import NIOPosix

/// Asks for names on threads of its own, of which there are few: what is slow holds up other names, and nothing else.
final class NameResolver: Sendable {
    /// Seconds for an answer of one server, twice.
    private static let patience: Int32 = 2
    private static let threadCount = 2
    private let pool = NIOThreadPool(numberOfThreads: NameResolver.threadCount)

    init() { pool.start() }

    func stop() { pool.shutdownGracefully { _ in } }

    /// - Parameters:
    ///   - server: who is asked; `nil`: as the system says, its hosts file before DNS.
    ///   - answered: called on `loop`.
    func ask(
        _ question: NameQuestion, of server: Endpoint?, on loop: any EventLoop,
        _ answered: @escaping @Sendable (ResolvedNames.Answer) -> Void
    ) {
        pool.runIfActive(eventLoop: loop) { Self.answer(question, server) }
            .whenComplete { if case .success(let answer) = $0 { answered(answer) } }
    }

    private static func answer(_ question: NameQuestion, _ server: Endpoint?) -> ResolvedNames.Answer {
        switch question {
        case .service(let name):
            guard let records = records(name, BATON_DNS_SRV, server) else { return .failure("DNS does not answer") }
            let targets = records.compactMap { record -> KnownNames.Target? in
                let host = text(record)
                // RFC 2782: a target of "." says that there is no such service.
                guard !host.isEmpty, host != ".", record.port > 0 else { return nil }
                return .init(priority: record.priority, weight: record.weight, port: record.port, host: host)
            }
            if targets.isEmpty { return .failure("it has no SRV records") }
            return .targets(targets, ttl: records.map(\.ttl).min() ?? 0)
        case .host(let name):
            if server != nil { return dns(name, server) }
            guard let addresses = system(name) else { return .failure("the system cannot resolve it") }
            // What the system knows by itself has no TTL.
            guard name != "localhost", !name.hasSuffix(".localhost"),
                case .addresses(let found, let ttl) = dns(name, nil), !Set(found).isDisjoint(with: addresses)
            else { return .addresses(addresses, ttl: nil) }
            return .addresses(addresses, ttl: ttl)
        }
    }

    /// What DNS alone says.
    private static func dns(_ name: String, _ server: Endpoint?) -> ResolvedNames.Answer {
        // Half an answer would take the other half's addresses out.
        guard let v4 = records(name, BATON_DNS_A, server), let v6 = records(name, BATON_DNS_AAAA, server) else {
            return .failure("DNS does not answer")
        }
        let addresses = v4.compactMap { address($0, 4) } + v6.compactMap { address($0, 16) }
        if addresses.isEmpty { return .failure("DNS has no address of it") }
        return .addresses(addresses, ttl: (v4 + v6).map(\.ttl).min())
    }

    private static func address(_ record: baton_dns_record, _ length: Int) -> IPAddress? {
        IPAddress(octets: withUnsafeBytes(of: record.address) { Array($0.prefix(length)) })
    }

    private static func records(_ name: String, _ type: Int, _ server: Endpoint?) -> [baton_dns_record]? {
        var address: UInt32 = 0
        if case .v4(let bits)? = server?.address { address = bits.bigEndian }
        var records = [baton_dns_record](repeating: baton_dns_record(), count: ResolvedNames.maxAnswer)
        let count = baton_dns_query(
            name, Int32(type), address, server?.port ?? 0, patience, &records, Int32(records.count))
        return count < 0 ? nil : Array(records.prefix(Int(count)))
    }

    private static func text(_ record: baton_dns_record) -> String {
        withUnsafeBytes(of: record.target) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// What getaddrinfo(3) says, in the order of RFC 6724.
    private static func system(_ name: String) -> [IPAddress]? {
        var hints = addrinfo()
        hints.ai_socktype = SocketKind.stream
        var first: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(name, nil, &hints, &first) == 0 else { return nil }
        defer { freeaddrinfo(first) }
        var found: [IPAddress] = []
        var next = first
        while let entry = next?.pointee {
            next = entry.ai_next
            if let address = InterfaceAddress.address(entry.ai_addr), !found.contains(address) {
                found.append(address)
            }
        }
        return found.isEmpty ? nil : found
    }
}
