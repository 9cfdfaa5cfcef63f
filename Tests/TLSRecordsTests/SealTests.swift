import Testing

@testable import TLSRecords

@Suite("Seals")
struct SealTests {
    private let receiver = ReceiverID.random()
    private let transfer = TransferID.random()

    private func opening(_ sealed: [UInt8], with unsealer: inout Unsealer, now: UInt64 = 1000) -> SealError? {
        do {
            _ = try unsealer.open(sealed.span.bytes, now: now)
            return nil
        } catch {
            return error
        }
    }

    @Test("what is sealed is opened by its receiver, with its transfer")
    func roundTrip() throws {
        let key = SealKey.random()
        let sealer = Sealer(key: key, receiver: receiver)
        var unsealer = Unsealer(key: key, receiver: receiver)
        for size in [0, 1, 15, 16, 17, 5000] {
            let transfer = TransferID.random()
            let sealed = sealer.seal(pattern(size).span.bytes, transfer: transfer, expires: 2000)
            #expect(sealed.count == size + Sealer.overhead)
            let opened = try unsealer.open(sealed.span.bytes, now: 1999)
            #expect(opened.bytes.array() == pattern(size))
            #expect(opened.transfer == transfer)
        }
    }

    @Test("a seal is opened once")
    func once() {
        let key = SealKey.random()
        var unsealer = Unsealer(key: key, receiver: receiver)
        let sealed = Sealer(key: key, receiver: receiver).seal([1].span.bytes, transfer: transfer, expires: 2000)
        let again = Sealer(key: key, receiver: receiver).seal([2].span.bytes, transfer: transfer, expires: 3000)
        #expect(opening(sealed, with: &unsealer) == nil)
        #expect(opening(sealed, with: &unsealer) == .alreadyOpened)
        #expect(opening(again, with: &unsealer) == .alreadyOpened)
    }

    @Test("an opened transfer stays used while others come and expire")
    func onceAmongMany() {
        let key = SealKey.random()
        let sealer = Sealer(key: key, receiver: receiver)
        var unsealer = Unsealer(key: key, receiver: receiver)
        let first = sealer.seal([1].span.bytes, transfer: transfer, expires: 1_000_000)
        #expect(opening(first, with: &unsealer) == nil)
        for index: UInt64 in 0..<5000 {
            let sealed = sealer.seal([1].span.bytes, transfer: .random(), expires: 1001 + index)
            #expect(opening(sealed, with: &unsealer, now: 1000 + index) == nil)
        }
        #expect(opening(first, with: &unsealer) == .alreadyOpened)
    }

    @Test("another key, another receiver, too late")
    func refusals() {
        let key = SealKey.random()
        let sealed = Sealer(key: key, receiver: receiver).seal([1].span.bytes, transfer: transfer, expires: 2000)
        var otherKey = Unsealer(key: .random(), receiver: receiver)
        #expect(opening(sealed, with: &otherKey) == .notAuthentic)
        var otherReceiver = Unsealer(key: key, receiver: .random())
        #expect(opening(sealed, with: &otherReceiver) == .otherReceiver)
        var late = Unsealer(key: key, receiver: receiver)
        #expect(opening(sealed, with: &late, now: 2000) == .expired)
        #expect(opening(sealed, with: &late, now: 1999) == .expired, "a clock that is set back is not believed")
        var unsealer = Unsealer(key: key, receiver: receiver)
        #expect(opening(sealed, with: &unsealer, now: 1999) == nil)
    }

    @Test("cut off or changed at any byte")
    func tampering() {
        let key = SealKey.random()
        let sealed = Sealer(key: key, receiver: receiver).seal(
            pattern(20).span.bytes, transfer: transfer, expires: 2000)
        var unsealer = Unsealer(key: key, receiver: receiver)
        for index in sealed.indices {
            #expect(opening(Array(sealed[..<index]), with: &unsealer) != nil)
            var changed = sealed
            changed[index] ^= 1
            #expect(opening(changed, with: &unsealer) != nil)
        }
        #expect(opening(sealed + [0], with: &unsealer) == .notAuthentic)
        #expect(opening(sealed, with: &unsealer) == nil)
    }
}
