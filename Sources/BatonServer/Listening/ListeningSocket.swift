internal import BatonConfiguration
internal import BatonCore
internal import Libc

/// A bound socket of a listener, which may have several. It can be handed to a successor.
struct ListeningSocket: Sendable, Hashable {
    /// The name of the admin address's sockets, which no listener can have.
    static let adminName = "/admin"

    /// The listener's name.
    var name: String
    /// The listener's address, as it is configured.
    var address: Address
    let descriptor: CInt
    let place: ListeningPlace
    /// Whether the service manager has opened it, and has it as well.
    var isActivated = false

    init(name: String, address: Address, descriptor: CInt, place: ListeningPlace, isActivated: Bool = false) {
        self.name = name
        self.address = address
        self.descriptor = descriptor
        self.place = place
        self.isActivated = isActivated
    }

    /// A socket that was opened elsewhere; `nil` if it listens nowhere.
    init?(taking descriptor: CInt, name: String, address: Address, isActivated: Bool) {
        guard let place = ListeningPlace(of: descriptor) else { return nil }
        self.init(name: name, address: address, descriptor: descriptor, place: place, isActivated: isActivated)
    }

    /// Binds a socket.
    ///
    /// - Parameter sharesPort: whether others of this user may have the port, too (SO_REUSEPORT).
    /// - Returns: the socket, or an errno value.
    static func bound(
        _ name: String, _ address: Address, at place: ListeningPlace, sharesPort: Bool = false
    ) -> Result<ListeningSocket, SystemCode> {
        let descriptor = socket(
            place.family,
            SocketKind.stream | SocketKind.closeOnExec | SocketKind.nonBlocking, 0)
        guard descriptor >= 0 else { return .failure(SystemCode(errno)) }
        set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        if sharesPort { set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
        if case .tcp(.v6, _, _, let isDualStack) = place {
            // `:port` listens on every address; a named IPv6 address means only itself.
            set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, isDualStack ? 0 : 1)
        }
        let result = place.withSocketAddress { bind(descriptor, $0, $1) }
        guard result == 0, let actual = ListeningPlace(of: descriptor) else {
            let code = errno
            close(descriptor)
            return .failure(SystemCode(code))
        }
        return .success(ListeningSocket(name: name, address: address, descriptor: descriptor, place: actual))
    }

    /// Binds and listens at every address that `address` leads to.
    ///
    /// - Parameter key: the configuration's, for messages.
    /// - Throws: `cannotListen`, unless one of several is only not there on this machine.
    static func open(
        key: String, _ address: Address, sharesPort: Bool, backlog: Int
    ) throws(RuntimeError) -> [ListeningSocket] {
        var sockets: [ListeningSocket] = []
        var failure: SystemCode?
        var places = try address.places()
        if case .tcp(.any, let port) = address { places.append(.everywhereV4(port: port)) }
        for place in places where !sockets.contains(where: { $0.place.overlaps(place) }) {
            switch bound(key, address, at: place, sharesPort: sharesPort) {
            case .success(let socket):
                sockets.append(socket)
                let code = socket.listen(backlog: backlog)
                if code != 0 { failure = SystemCode(code) }
            case .failure(let code) where code.value == EADDRNOTAVAIL || code.value == EAFNOSUPPORT:
                if places.count == 1 { failure = code }
            case .failure(let code): failure = code
            }
        }
        if let failure = failure ?? (sockets.isEmpty ? SystemCode(EADDRNOTAVAIL) : nil) {
            for socket in sockets { close(socket.descriptor) }
            throw RuntimeError(.cannotListen, "\(key) cannot listen at \(address): \(failure.text)")
        }
        return sockets
    }

    /// Listens, or, where that has been done, sets how many connections may wait. The kernel cuts this at
    /// `net.core.somaxconn`.
    ///
    /// - Returns: 0 or an errno value.
    func listen(backlog: Int) -> CInt { Libc.listen(descriptor, CInt(clamping: backlog)) == 0 ? 0 : errno }

    /// Whether connections can come; a new socket may wait until one that is in its way has gone.
    var isListening: Bool {
        var value: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) == 0 && value == 1
    }

    /// Has nobody listen here any more, also not a server before this one that has the same socket: who connects would wait
    /// for it in vain. It can listen again.
    func stop() {
        guard !isActivated, place.port != nil else { return }
        shutdown(descriptor, Int32(SHUT_RD))
    }

    /// Lets others of this user have the port, too, or not any more. What is bound stays bound.
    func sharePort(_ isShared: Bool) { Self.set(descriptor, SOL_SOCKET, SO_REUSEPORT, isShared ? 1 : 0) }

    /// Gives it to the user that the server becomes: only sockets of one user share a port.
    func give(to account: Account) { _ = fchown(descriptor, account.user, account.group) }

    var isAdmin: Bool { name == Self.adminName }

    /// Whether who connects to `place` reaches it: not if its file has been removed.
    var isReachable: Bool {
        guard case .unix(let path) = place else { return true }
        return UnixSocket.isSocket(path)
    }

    private static func set(_ descriptor: CInt, _ level: CInt, _ name: CInt, _ value: CInt) {
        var value = value
        setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<CInt>.size))
    }
}

/// An errno value.
struct SystemCode: Error, Hashable {
    let value: CInt

    init(_ value: CInt) { self.value = value }

    var text: String { String(cString: strerror(value)) }
}

extension Endpoint {
    /// The endpoint of a socket address; `nil` for a Unix socket.
    init?(_ storage: sockaddr_storage) {
        guard
            case .tcp(let address, _, let port, _)? = ListeningPlace(
                storage, length: MemoryLayout<sockaddr_storage>.size)
        else { return nil }
        self.init(address, port: port)
    }
}
