internal import BatonCore
public import CBaton
internal import Handoff
internal import Libc
internal import Synchronization
internal import TLSRecords

// Handing over to another process of this machine (`baton.h`): the one who takes.

/// What has arrived, and waits to be taken.
final class Inbox: Sendable {
    private struct State {
        var arrived: ArraySlice<ParcelBox> = []
        var hasEnded = false
        var isFreed = false
    }

    /// Readable while something has arrived, or nothing more comes.
    private let pipe: WakePipe
    private let state = Mutex(State())
    private let receiver = Mutex<ParcelReceiver?>(nil)

    init(at path: String) throws(Failure) {
        do throws(HandoffError) {
            pipe = try WakePipe()
            let receiver = try ParcelReceiver(at: path) { parcel in
                switch parcel.snapshot {
                case .some where parcel.sockets.count == 1: .accept
                default: .decline(.unsupportedParcel)
                }
            } received: { [self] in
                arrived($0)
            }
            try receiver.start()
            self.receiver.withLock { $0 = receiver }
        } catch {
            throw Failure(error)
        }
    }

    var descriptor: CInt { pipe.descriptor }

    private func arrived(_ boxes: [ParcelBox]) {
        state.withLock { state in
            // What nobody can take is closed with its box.
            if !state.isFreed { state.arrived += boxes }
        }
        pipe.wake()
    }

    /// The next connection; `nil`: there is none.
    func take() throws(Failure) -> (connection: ConnectionHandle, socket: CInt, state: [UInt8], moves: UInt32)? {
        let box = state.withLock { state in
            let box = state.arrived.popFirst()
            if state.arrived.isEmpty, !state.hasEnded { pipe.clear() }
            return box
        }
        guard var parcel = box?.take() else { return nil }
        let handle = try ConnectionHandle(takingOver: &parcel)
        guard let socket = parcel.sockets.takeAll().first else {
            throw Failure(BATON_ERROR_FORMAT, "what has arrived has no socket")
        }
        return (handle, socket, parcel.applicationState, parcel.metadata.moves)
    }

    var hasEnded: Bool { state.withLock { $0.hasEnded && $0.arrived.isEmpty } }

    /// Takes no more, and closes what nobody has taken.
    func end() {
        stop()
        let rest = state.withLock { state in
            state.isFreed = true
            let rest = state.arrived
            state.arrived = []
            return rest
        }
        // They are closed outside the lock.
        withExtendedLifetime(rest) {}
    }

    func stop() {
        receiver.withLock { $0.take() }?.stop { [self] in
            state.withLock { $0.hasEnded = true }
            pipe.wake()
        }
    }
}

/// `baton_inbox_listen` of `baton.h`.
@_cdecl("baton_inbox_listen")
public func batonInboxListen(
    _ path: UnsafePointer<CChar>?, _ error: UnsafeMutablePointer<baton_error>?
) -> OpaquePointer? {
    make(error) { () throws(Failure) in
        guard let path else { throw .argument("the path is NULL") }
        return try Inbox(at: String(cString: path))
    }
}

/// `baton_inbox_descriptor` of `baton.h`.
@_cdecl("baton_inbox_descriptor")
public func batonInboxDescriptor(_ inbox: OpaquePointer?) -> CInt {
    do throws(Failure) {
        return try object(inbox, Inbox.self).descriptor
    } catch {
        return -1
    }
}

/// `baton_inbox_take` of `baton.h`.
@_cdecl("baton_inbox_take")
public func batonInboxTake(
    _ inbox: OpaquePointer?, _ arrival: UnsafeMutablePointer<baton_arrival>?,
    _ error: UnsafeMutablePointer<baton_error>?
) -> CInt {
    answer(error) { () throws(Failure) in
        guard let arrival else { throw .argument("the place for the arrival is NULL") }
        arrival.pointee = baton_arrival()
        arrival.pointee.socket = -1
        let inbox = try object(inbox, Inbox.self)
        guard let (connection, socket, state, moves) = try inbox.take() else {
            return inbox.hasEnded ? BATON_END : BATON_WAIT
        }
        arrival.pointee.connection = OpaquePointer(Unmanaged.passRetained(connection).toOpaque())
        arrival.pointee.socket = socket
        arrival.pointee.moves = moves
        if !state.isEmpty, let copy = malloc(state.count) {
            UnsafeMutableRawBufferPointer(start: copy, count: state.count).copyBytes(from: state)
            arrival.pointee.state = copy
            arrival.pointee.state_count = state.count
        }
        return BATON_OK
    }
}

/// `baton_arrival_clear` of `baton.h`.
@_cdecl("baton_arrival_clear")
public func batonArrivalClear(_ arrival: UnsafeMutablePointer<baton_arrival>?) {
    guard let arrival else { return }
    free(arrival.pointee.state)
    arrival.pointee.state = nil
    arrival.pointee.state_count = 0
}

/// `baton_inbox_stop` of `baton.h`.
@_cdecl("baton_inbox_stop")
public func batonInboxStop(_ inbox: OpaquePointer?, _ error: UnsafeMutablePointer<baton_error>?) -> CInt {
    answer(error) { () throws(Failure) in
        try object(inbox, Inbox.self).stop()
        return BATON_OK
    }
}

/// `baton_inbox_free` of `baton.h`.
@_cdecl("baton_inbox_free")
public func batonInboxFree(_ inbox: OpaquePointer?) {
    do throws(Failure) {
        try object(inbox, Inbox.self).end()
    } catch {
        return
    }
    letGo(inbox, of: Inbox.self)
}
