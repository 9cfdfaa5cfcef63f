internal import BatonCore
public import CBaton
internal import Handoff
internal import Libc
internal import Synchronization
internal import TLSRecords

// Handing over to another process of this machine (`baton.h`): the one who gives.

final class Sender: Sendable {
    private let channel: Mutex<OwnerChannel>

    init(_ channel: consuming OwnerChannel) { self.channel = Mutex(channel) }

    func use<Result>(_ body: (inout OwnerChannel) throws(Failure) -> Result) throws(Failure) -> Result {
        try channel.useAlone("sender", body)
    }
}

/// `baton_sender_connect` of `baton.h`.
@_cdecl("baton_sender_connect")
public func batonSenderConnect(
    _ path: UnsafePointer<CChar>?, _ timeout: UInt64, _ error: UnsafeMutablePointer<baton_error>?
) -> OpaquePointer? {
    make(error) { () throws(Failure) in
        guard let path else { throw .argument("the path is NULL") }
        do throws(HandoffError) {
            let limit = deadline(timeout)
            var channel = OwnerChannel(try .connect(to: String(cString: path), deadline: limit))
            try channel.awaitHello(deadline: limit)
            return Sender(channel)
        } catch {
            throw Failure(error)
        }
    }
}

/// `baton_sender_free` of `baton.h`.
@_cdecl("baton_sender_free")
public func batonSenderFree(_ sender: OpaquePointer?) { letGo(sender, of: Sender.self) }

/// `baton_offer` of `baton.h`.
@_cdecl("baton_offer")
public func batonOffer(
    _ sender: OpaquePointer?, _ items: UnsafeMutablePointer<baton_item>?, _ count: Int, _ timeout: UInt64,
    _ error: UnsafeMutablePointer<baton_error>?
) -> CInt {
    answer(error) { () throws(Failure) in
        guard let items, 1...Int(BATON_MOST_ITEMS) ~= count else {
            throw .argument("an offer has 1 to \(BATON_MOST_ITEMS) items")
        }
        let all = UnsafeMutableBufferPointer(start: items, count: count)
        for index in all.indices { all[index].fate = CInt(BATON_FATE_NONE.rawValue) }
        return try object(sender, Sender.self).use { (channel) throws(Failure) in
            try Offer(all).make(through: &channel, until: deadline(timeout))
        }
    }
}

/// One call of `baton_offer`.
private struct Offer {
    private let items: UnsafeMutableBufferPointer<baton_item>
    private var handles: [ConnectionHandle] = []

    /// - Throws: nothing of any item has changed then.
    init(_ items: UnsafeMutableBufferPointer<baton_item>) throws(Failure) {
        self.items = items
        var known: Set<ObjectIdentifier> = []
        for item in items {
            _ = try bytes(item.state, item.state_count)
            guard fcntl(item.socket, F_GETFD) >= 0 else { throw .argument("\(item.socket) is no open descriptor") }
            let handle = try object(item.connection, ConnectionHandle.self)
            guard known.insert(ObjectIdentifier(handle)).inserted else {
                throw .argument("one connection is in two items")
            }
            handles.append(handle)
        }
    }

    func make(through channel: inout OwnerChannel, until limit: Deadline) throws(Failure) -> baton_code {
        var batch = ParcelBatch()
        var failure: Failure?
        for (index, handle) in handles.enumerated() {
            do throws(Failure) {
                batch.append(try parcel(of: handle, items[index]))
            } catch {
                failure = Failure(error.code, "item \(index): \(error.message)", systemError: error.systemError)
                break
            }
        }
        if let failure {
            putBack(batch, to: handles[...])
            throw failure
        }
        let outcome = channel.offer(batch, deadline: limit)
        let fates = outcome.settlement.fates
        var returned: [ConnectionHandle] = []
        for index in items.indices {
            let fate: Settlement.Fate = fates.indices.contains(index) ? fates[index] : .takenBack
            if fate.isReturned { returned.append(handles[index]) } else { handles[index].endOffer() }
            items[index].fate = CInt(fate.code.rawValue)
        }
        let error = outcome.error
        let ending = outcome.settlement.ending
        putBack(outcome.returned, to: returned[...])
        if fates.count == items.count, fates.allSatisfy({ $0 == .handedOver }) { return BATON_OK }
        if let error { throw Failure(error) }
        throw Failure(ending, fates)
    }

    private func parcel(of handle: ConnectionHandle, _ item: baton_item) throws(Failure) -> Parcel {
        let copy = fcntl(item.socket, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw .system("the socket cannot be duplicated") }
        var sockets = DescriptorSet(owning: copy)
        sockets.recordWritePositions()
        var parcel = try handle.beginOffer().take() ?? Parcel()
        parcel.sockets = sockets
        parcel.applicationState = Array(UnsafeRawBufferPointer(start: item.state, count: item.state_count))
        return parcel
    }

    private func putBack(_ batch: consuming ParcelBatch, to handles: ArraySlice<ConnectionHandle>) {
        var rest = handles
        batch.consumeEach { parcel in
            guard let handle = rest.popFirst() else { return }
            handle.endOffer(ParcelBox(parcel))
        }
    }
}

extension Settlement.Fate {
    fileprivate var code: baton_fate {
        switch self {
        case .handedOver: BATON_FATE_HANDED_OVER
        case .declined, .takenBack: BATON_FATE_RETURNED
        case .closed: BATON_FATE_CLOSED
        }
    }
}

extension Failure {
    fileprivate init(_ ending: Settlement.Ending, _ fates: [Settlement.Fate]) {
        let reason = fates.lazy.compactMap { fate -> String? in
            if case .declined(let reason) = fate { "\(reason)" } else { nil }
        }.first
        switch ending {
        case .cancelled: self.init(BATON_ERROR_TIMED_OUT, "the receiver did not answer in time")
        case .channelEnded: self.init(BATON_ERROR_HANDOFF, "the receiver has closed the channel, or has ended")
        case .inDoubt: self.init(BATON_ERROR_HANDOFF, "the receiver could not be told to let go")
        case .committed, .declined:
            self.init(BATON_ERROR_HANDOFF, "the receiver has declined: \(reason ?? "it gave no reason")")
        }
    }
}
