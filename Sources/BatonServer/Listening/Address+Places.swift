internal import BatonConfiguration
internal import BatonCore
internal import Libc

extension Address {
    /// Where to listen: every address that a name leads to. This may wait for a resolver.
    ///
    /// - Throws: `cannotListen` for a name or an interface that is not known.
    func places() throws(RuntimeError) -> [ListeningPlace] {
        switch self {
        case .unix(let path): return [.unix(path: path)]
        case .tcp(.any, let port): return [.everywhere(port: port)]
        case .tcp(.ip(let ip), let port): return [.tcp(ip.unmapped, scope: 0, port: port, isDualStack: false)]
        case .tcp(.zoned(let ip, let zone), let port):
            let scope = UInt32(zone) ?? if_nametoindex(zone)
            guard scope != 0 else {
                throw RuntimeError(.cannotListen, "there is no interface \(zone); give one that ip link shows")
            }
            return [.tcp(ip, scope: scope, port: port, isDualStack: false)]
        case .tcp(.name(let name), let port): return try Self.resolve(name, port)
        }
    }

    private static func resolve(_ name: String, _ port: UInt16) throws(RuntimeError) -> [ListeningPlace] {
        var hints = addrinfo()
        hints.ai_socktype = SocketKind.stream
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(name, nil, &hints, &list)
        guard code == 0, let list else {
            let why = String(cString: gai_strerror(code))
            throw RuntimeError(
                .cannotListen, "the host name \(name) cannot be resolved (\(why)); give an address to listen at")
        }
        defer { freeaddrinfo(list) }
        var places: [ListeningPlace] = []
        for entry in sequence(first: list, next: { $0.pointee.ai_next }) {
            var storage = sockaddr_storage()
            let length = min(Int(entry.pointee.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
            withUnsafeMutableBytes(of: &storage) { bytes in
                bytes.copyMemory(from: UnsafeRawBufferPointer(start: entry.pointee.ai_addr, count: length))
            }
            guard let place = ListeningPlace(storage, length: length)?.with(port: port), !places.contains(place) else {
                continue
            }
            places.append(place)
        }
        return places
    }
}
