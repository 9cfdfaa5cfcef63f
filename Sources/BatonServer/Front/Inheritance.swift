internal import BatonConfiguration
internal import Foundation
internal import Handoff
internal import Libc

/// What a server leaves to its successor: the control socket, the listening sockets, ticket keys and counts. It travels
/// as a parcel, sealed, whose sockets stand in the order of the names.
struct Inheritance: Codable, Sendable {
    struct Socket: Codable, Sendable {
        var name: String
        var address: String
        /// Whether the service manager has opened it; absent from an older version, and where it has not.
        var isActivated: Bool?
    }

    var listeners: [Socket]
    var ticketKeys: [UInt8]
    /// When the current one was made, in seconds since 1970; absent from an older version.
    var ticketKeysCreatedAt: Int64?
    var past: WorkerReport
    var lastWorkerNumber: Int
    /// Absent from an older version.
    var counts: FrontCounts?
    /// The number of workers that a command has set; absent from an older version.
    var workersAsked: Int?
    /// The version that leaves it; absent from one that knows nothing of `SuccessorMessage.accepting` and what follows there.
    var version: String?
    /// What the privileged process may do. If this is set, a link to its keeper is the last descriptor.
    var networkArguments: [String]?

    /// What has been lately; absent from an older version.
    var history: History?

    /// What a new server has in hand.
    struct Received {
        let inheritance: Inheritance
        let control: ControlSocket
        let sockets: [ListeningSocket]
        let privileges: CInt?
    }

    /// A listener with several sockets has each under a name of its own: an older version closes those that it does not
    /// know.
    private static let separator: Character = "#"

    /// What a successor is told of sockets, in their order.
    static func describe(_ sockets: [ListeningSocket]) -> [Socket] {
        var counts: [String: Int] = [:]
        return sockets.map { socket in
            counts[socket.name, default: 0] += 1
            let number = counts[socket.name] ?? 1
            return Socket(
                name: number == 1 ? socket.name : "\(socket.name)\(separator)\(number)", address: "\(socket.address)",
                isActivated: socket.isActivated ? true : nil)
        }
    }

    private static func listeningSocket(_ socket: Socket, _ descriptor: CInt) -> ListeningSocket? {
        guard let address = try? Address(socket.address) else { return nil }
        return ListeningSocket(
            taking: descriptor, name: String(socket.name.prefix { $0 != separator }), address: address,
            isActivated: socket.isActivated ?? false)
    }

    /// Marks the parcel.
    static let annotation = "baton.inheritance"

    /// The parcel. Its descriptors are copies: the old server keeps its own until the new one is ready.
    ///
    /// - Parameter privileges: the link to the keeper of the privileged process, which is taken over.
    func parcel(control: ControlSocket, sockets: [CInt], privileges: CInt?) throws -> Parcel {
        var set = DescriptorSet()
        var isTaken = false
        defer { if let privileges, !isTaken { close(privileges) } }
        for descriptor in [control.descriptor, control.lock.descriptor] + sockets {
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
            guard copy >= 0 else { throw RuntimeError.system("cannot copy a listening socket") }
            set.append(owning: copy)
        }
        if let privileges { set.append(owning: privileges) }
        isTaken = true
        var parcel = Parcel(sockets: set, applicationState: Array(try JSONEncoder().encode(self)))
        parcel.metadata.annotations[Self.annotation] = [1]
        return parcel
    }

    /// Receives it from the server that listens at `path`.
    static func receive(from path: String, control: String) throws -> Received {
        var channel = ReceiverChannel(try .connect(to: path, deadline: .after(.seconds(10))))
        var received = try channel.receive(deadline: .after(.seconds(10))) { parcel in
            parcel.metadata.annotations[annotation] == nil ? .decline(.unsupportedParcel) : .accept
        }
        guard var parcel = received?.parcels.removeLast() else {
            throw RuntimeError(.processFailed, "the running server handed nothing over; its log tells why")
        }
        let state = Data(parcel.applicationState)
        let sockets = parcel.sockets.takeAll()
        guard let inheritance = try? JSONDecoder().decode(Inheritance.self, from: state),
            let taken = inheritance.taken(sockets, control: control)
        else {
            for socket in sockets { close(socket) }
            throw RuntimeError(
                .processFailed, "the running server handed over what this version does not know; restart")
        }
        return taken
    }

    /// What a new server has in hand with these descriptors: the control socket, its lock, the listening sockets, and the link
    /// to the keeper of the privileged process. `nil` if they are not as many; they are the caller's then.
    fileprivate func taken(_ descriptors: [CInt], control: String) -> Received? {
        let count = listeners.count
        guard descriptors.count == count + (networkArguments == nil ? 2 : 3) else { return nil }
        let socket = ControlSocket(
            path: control, descriptor: descriptors[0],
            lock: SocketLock(adopting: descriptors[1], beside: control))
        let listening = zip(listeners, descriptors[2..<2 + count]).compactMap { named, descriptor in
            let socket = Self.listeningSocket(named, descriptor)
            if socket == nil { close(descriptor) }
            return socket
        }
        return Received(
            inheritance: self, control: socket, sockets: listening,
            privileges: networkArguments == nil ? nil : descriptors[2 + count])
    }
}

/// What a front leaves with the keeper, for one that takes its place if it dies. The descriptors are those of `Inheritance`.
struct FrontState: Codable {
    var inheritance: Inheritance
    /// The text of the configuration that was in use.
    var file: String?
    /// Whether the server was stopping, and did not listen any more.
    var acceptsNoMore = false

    /// What a front takes over from one that has died.
    ///
    /// - Throws: `processFailed` if this program cannot read it.
    static func receive(
        _ left: (kept: [CInt], state: [UInt8]), _ options: ServeOptions
    ) throws -> (received: Inheritance.Received, configuration: Configuration, state: FrontState) {
        guard let state = try? JSONDecoder().decode(FrontState.self, from: Data(left.state)) else { throw unreadable }
        let configuration = try Configuration(file: state.file, arguments: options.flags)
        guard let received = state.inheritance.taken(left.kept, control: configuration.control) else {
            throw unreadable
        }
        return (received, configuration, state)
    }

    private static var unreadable: RuntimeError {
        RuntimeError(.processFailed, "what the front before left cannot be read; restart the server")
    }
}
