internal import BatonCore
public import CBaton
internal import Handoff
internal import Libc
internal import Synchronization
internal import TLSRecords

// Connections at rest (`baton.h`, "At rest"). What is sealed is a parcel without sockets (`docs/handoff.md`).

/// `baton_suspend` of `baton.h`.
@_cdecl("baton_suspend")
public func batonSuspend(_ connection: OpaquePointer?, _ error: UnsafeMutablePointer<baton_error>?) -> CInt {
    answer(error) { () throws(Failure) in
        try object(connection, ConnectionHandle.self).use { (held) throws(Failure) in try held.suspend() }
        return BATON_OK
    }
}

/// `baton_resume` of `baton.h`.
@_cdecl("baton_resume")
public func batonResume(_ connection: OpaquePointer?, _ error: UnsafeMutablePointer<baton_error>?) -> CInt {
    answer(error) { () throws(Failure) in
        try object(connection, ConnectionHandle.self).use { (held) throws(Failure) in try held.resume() }
        return BATON_OK
    }
}

/// Who may open sealed connections.
final class Receiver: Sendable {
    private let id = ReceiverID.random()
    private let key = SealKey.random()
    private let unsealer: Mutex<Unsealer>

    init() { unsealer = Mutex(Unsealer(key: key, receiver: id)) }

    /// Its id, and the key behind it.
    func writeAddress(to target: UnsafeMutableRawBufferPointer) {
        id.withUnsafeBytes { target.copyMemory(from: $0) }
        key.withUnsafeBytes {
            UnsafeMutableRawBufferPointer(rebasing: target[ReceiverID.length...]).copyMemory(from: $0)
        }
    }

    func open(_ sealed: RawSpan) throws(Failure) -> Parcel {
        let opened: Unsealer.Opened
        do throws(SealError) {
            opened = try unsealer.withLock { (unsealer) throws(SealError) in
                try unsealer.open(sealed, now: WallClock.milliseconds)
            }
        } catch {
            throw Failure(error)
        }
        do throws(ParcelError) {
            return try opened.bytes.withUnsafeBytes { (bytes) throws(ParcelError) in try Parcel.decode(bytes) }
        } catch {
            throw Failure(error)
        }
    }
}

/// `baton_receiver_new` of `baton.h`.
@_cdecl("baton_receiver_new")
public func batonReceiverNew(_ error: UnsafeMutablePointer<baton_error>?) -> OpaquePointer? {
    make(error) { () throws(Failure) in Receiver() }
}

/// `baton_receiver_free` of `baton.h`.
@_cdecl("baton_receiver_free")
public func batonReceiverFree(_ receiver: OpaquePointer?) { letGo(receiver, of: Receiver.self) }

/// `baton_receiver_address` of `baton.h`.
@_cdecl("baton_receiver_address")
public func batonReceiverAddress(
    _ receiver: OpaquePointer?, _ address: UnsafeMutablePointer<UInt8>?, _ error: UnsafeMutablePointer<baton_error>?
) -> CInt {
    answer(error) { () throws(Failure) in
        guard let address else { throw .argument("the place for the address is NULL") }
        let target = UnsafeMutableRawBufferPointer(start: address, count: Int(BATON_ADDRESS_LENGTH))
        try object(receiver, Receiver.self).writeAddress(to: target)
        return BATON_OK
    }
}

/// `baton_seal` of `baton.h`.
@_cdecl("baton_seal")
public func batonSeal(
    _ connection: OpaquePointer?, _ address: UnsafePointer<UInt8>?, _ addressLength: Int, _ lifetime: UInt64,
    _ pointer: UnsafeMutableRawPointer?, _ capacity: Int, _ count: UnsafeMutablePointer<Int>?,
    _ error: UnsafeMutablePointer<baton_error>?
) -> CInt {
    answer(error) { () throws(Failure) in
        guard let count else { throw .argument("the place for the count is NULL") }
        count.pointee = 0
        guard let address, addressLength == Int(BATON_ADDRESS_LENGTH) else {
            throw .argument("an address has \(BATON_ADDRESS_LENGTH) bytes; baton_receiver_address gives it")
        }
        let buffer = try room(pointer, capacity)
        let parts = UnsafeRawBufferPointer(start: address, count: addressLength)
        let (idPart, keyPart) = (parts[..<ReceiverID.length], parts[ReceiverID.length...])
        guard let id = ReceiverID(UnsafeRawBufferPointer(rebasing: idPart)),
            let key = SealKey(copying: UnsafeRawBufferPointer(rebasing: keyPart).bytes)
        else { throw .argument("it is no address of a receiver") }
        let (expires, isTooLate) = WallClock.milliseconds.addingReportingOverflow(lifetime)
        let sealer = Sealer(key: key, receiver: id)
        return try object(connection, ConnectionHandle.self).use { (held) throws(Failure) in
            let parcel = try held.take()
            let encoded: ByteQueue
            do throws(ParcelError) {
                encoded = try parcel.encoded()
            } catch {
                held.putBack(parcel)
                throw Failure(error)
            }
            let needed = encoded.count + Sealer.overhead
            count.pointee = needed
            guard needed <= buffer.count else {
                held.putBack(parcel)
                throw Failure(BATON_ERROR_TOO_SMALL, "the sealed connection has \(needed) bytes")
            }
            let sealed = encoded.withBytes {
                sealer.seal($0.bytes, transfer: TransferID.random(), expires: isTooLate ? .max : expires)
            }
            buffer.copyBytes(from: sealed)
            return BATON_OK
        }
    }
}

/// `baton_open` of `baton.h`.
@_cdecl("baton_open")
public func batonOpen(
    _ receiver: OpaquePointer?, _ pointer: UnsafeRawPointer?, _ count: Int,
    _ error: UnsafeMutablePointer<baton_error>?
) -> OpaquePointer? {
    make(error) { () throws(Failure) in
        let sealed = try bytes(pointer, count)
        var parcel = try object(receiver, Receiver.self).open(sealed.bytes)
        return try ConnectionHandle(takingOver: &parcel)
    }
}
