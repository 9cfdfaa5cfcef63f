import BatonCore
import TLSRecords
import Testing

@testable import Handoff

@Suite("the parcel format")
struct ParcelFormatTests {
    private func read(_ bytes: [UInt8], descriptors count: Int) throws(ParcelError) -> [ParcelError?] {
        var descriptors = DescriptorSet()
        for _ in 0..<count { descriptors.append(owning: -1) }
        var set = Optional(descriptors)
        let copy = SecretBytes(copying: bytes.span.bytes)
        return try copy.withUnsafeBytes { (bytes) throws(ParcelError) in
            let contents = try ParcelReader.read(bytes, descriptors: set.take() ?? DescriptorSet())
            return contents.errors
        }
    }

    private func error(_ bytes: [UInt8], descriptors count: Int = 0) -> ParcelError? {
        do throws(ParcelError) {
            return try read(bytes, descriptors: count).compactMap { $0 }.first
        } catch {
            return error
        }
    }

    /// Two parcels with every field there is.
    private func sample() throws -> (bytes: [UInt8], descriptors: Int) {
        var batch = ParcelBatch()
        var sockets = DescriptorSet()
        sockets.append(owning: -1, writePosition: 77)
        sockets.append(owning: -1)
        var metadata = ParcelMetadata()
        metadata.moves = 1
        metadata.acceptedAt = 2
        metadata.listener = "in"
        metadata.annotations = ["x": [1], "y": []]
        var first = Parcel(snapshot: makeSnapshot(), sockets: sockets, applicationState: [1, 2, 3], metadata: metadata)
        first.secondSnapshot = makeSnapshot()
        first.unread = [8, 9]
        batch.append(first)
        var plain = Parcel(sockets: DescriptorSet(owning: -1))
        plain.received = [71, 69, 84]
        batch.append(plain)
        var writer = ParcelWriter()
        let descriptors = try writer.write(batch)
        return (writer.withBytes { Array($0) }, descriptors.count)
    }

    /// One parcel with these fields and nothing else.
    private func parcel(sockets: UInt32 = 0, _ fields: [(tag: UInt8, value: [UInt8])]) -> [UInt8] {
        var body: [UInt8] = []
        for field in fields {
            body.append(field.tag)
            body.appendInteger(UInt32(field.value.count))
            body.append(contentsOf: field.value)
        }
        var bytes: [UInt8] = [1]
        bytes.appendInteger(UInt32(1))
        bytes.appendInteger(sockets)
        bytes.appendInteger(UInt32(body.count))
        return bytes + body
    }

    @Test("what was written is read")
    func roundTrip() throws {
        let (bytes, descriptors) = try sample()
        #expect(descriptors == 3)
        #expect(try read(bytes, descriptors: 3) == [nil, nil])
    }

    @Test("cut off at any byte, it is refused")
    func truncation() throws {
        let (bytes, descriptors) = try sample()
        for count in 0..<bytes.count {
            #expect(error(Array(bytes[..<count]), descriptors: descriptors) == .cutOff, "at \(count)")
        }
        #expect(error(bytes + [0], descriptors: descriptors) == .trailingBytes)
    }

    @Test("another number of descriptors than it names is refused", arguments: [0, 2, 4])
    func descriptorCount(count: Int) throws {
        #expect(error(try sample().bytes, descriptors: count) == .wrongDescriptorCount)
    }

    @Test("with any one bit changed it is read or refused, and nothing traps")
    func bitFlips() throws {
        let (bytes, descriptors) = try sample()
        var refused = 0
        for bit in 0..<bytes.count * 8 {
            var changed = bytes
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            if error(changed, descriptors: descriptors) != nil { refused += 1 }
        }
        #expect(refused > bytes.count)
    }

    @Test("random bytes are refused without a trap")
    func randomBytes() {
        var generator = SystemRandomNumberGenerator()
        var refused = 0
        for round in 0..<20_000 {
            var bytes = (0..<(round % 120)).map { _ in UInt8.random(in: 0...255, using: &generator) }
            // So that some get past the beginning.
            let beginning: [UInt8] = [1, 0, 0, 0, 1, 0, 0, 0, UInt8(round & 3), 0, 0, 0]
            for index in 0..<min(round % 14, bytes.count) { bytes[index] = beginning[index % beginning.count] }
            if error(bytes, descriptors: round & 3) != nil { refused += 1 }
        }
        #expect(refused > 10_000)
    }

    @Test("an unknown field is passed over if it may be, and refused if not")
    func unknownFields() {
        #expect(error(parcel([(0xF0, [1, 2, 3])])) == nil)
        #expect(error(parcel([(0x70, [1, 2, 3])])) == .unknownField(0x70))
        #expect(error(parcel([(0, [])])) == .fieldOutOfOrder(0))
    }

    @Test("fields out of order, repeated, or of impossible length are refused")
    func impossibleFields() {
        #expect(error(parcel([(4, [1]), (3, [1])])) == .fieldOutOfOrder(3))
        #expect(error(parcel([(4, [1]), (4, [1])])) == .fieldOutOfOrder(4))
        #expect(error(parcel([(4, [])])) == .invalidField(4))
        #expect(error(parcel([(0x81, [1, 2, 3])])) == .invalidField(0x81))
        #expect(error(parcel([(0x82, [0, 0, 0, 0])])) == .invalidField(0x82))
        #expect(error(parcel([(0x83, [0xFF])])) == .invalidField(0x83))
        #expect(error(parcel([(0x83, [UInt8](repeating: 65, count: 256))])) == .invalidField(0x83))
        #expect(error(parcel([(2, [])])) == .invalidField(2))
        #expect(error(parcel(sockets: 1, [(2, [2, 0, 0, 0, 0, 0, 0, 0, 0])]), descriptors: 1) == .invalidField(2))
        #expect(error(parcel(sockets: 1, [(2, [0, 0, 0, 0, 0, 0, 0, 0, 9])]), descriptors: 1) == .invalidField(2))
        #expect(error(parcel(sockets: 1, [(2, [1, 0, 0, 0, 0, 0, 0, 0, 9])]), descriptors: 1) == nil)
    }

    @Test("what was given back is read as it was written, and refused without a snapshot or beyond its limit")
    func unread() throws {
        func bytes(_ unread: [UInt8]) throws -> [UInt8] {
            var parcel = Parcel(snapshot: makeSnapshot(), sockets: DescriptorSet(owning: -1))
            parcel.unread = unread
            var writer = ParcelWriter()
            _ = try writer.write(ParcelBatch(parcel))
            return writer.withBytes { Array($0) }
        }
        for count in [1, Parcel.maxUnread] {
            var counts: [Int] = []
            try bytes([UInt8](repeating: 7, count: count)).withUnsafeBytes {
                let contents = try ParcelReader.read($0, descriptors: DescriptorSet(owning: -1))
                for index in 0..<contents.batch.count {
                    contents.batch.withParcel(at: index) { counts.append($0.unread.count) }
                }
            }
            #expect(counts == [count])
        }
        #expect(throws: ParcelError.invalidField(7)) {
            _ = try bytes([UInt8](repeating: 7, count: Parcel.maxUnread + 1))
        }
        #expect(error(parcel([(7, [1])])) == .invalidField(7))
    }

    @Test("annotations are refused without a name, out of order, repeated, or beyond their number")
    func annotations() {
        #expect(error(parcel([(0x84, [])])) == .invalidField(0x84))
        #expect(error(parcel([(0x84, [0, 1])])) == .invalidField(0x84))
        #expect(error(parcel([(0x84, [2, 65])])) == .invalidField(0x84))
        #expect(error(parcel([(0x84, [1, 66]), (0x84, [1, 65])])) == .fieldOutOfOrder(0x84))
        #expect(error(parcel([(0x84, [1, 66]), (0x84, [1, 66])])) == .fieldOutOfOrder(0x84))
        let many = (0..<65).map { (tag: UInt8(0x84), value: [1, UInt8($0 + 1)]) }
        #expect(error(parcel(many)) == .invalidField(0x84))
        #expect(error(parcel(Array(many.dropLast()))) == nil)
        // One letter in two spellings is one name.
        let twice: [(tag: UInt8, value: [UInt8])] = [(0x84, [3, 0x65, 0xCC, 0x81]), (0x84, [2, 0xC3, 0xA9])]
        #expect(error(parcel(twice)) == .invalidField(0x84))
    }

    @Test("a snapshot that cannot be read spoils its own parcel only")
    func spoiledSnapshot() throws {
        let good = parcel([(4, [1])])
        let bad = parcel([(1, [1, 2, 3])])
        let batch: [UInt8] = [1, 0, 0, 0, 2] + good.dropFirst(5) + bad.dropFirst(5)
        let errors = try read(batch, descriptors: 0)
        #expect(errors.count == 2 && errors[0] == nil)
        guard case .snapshot = errors[1] else { throw TestFailure("a bad snapshot was read") }
    }

    @Test("no parcel, and more than a transfer may have, are refused; so is another version")
    func counts() {
        #expect(error([1, 0, 0, 0, 0]) == .wrongParcelCount)
        #expect(error([1, 0xFF, 0xFF, 0xFF, 0xFF]) == .wrongParcelCount)
        #expect(error([2, 0, 0, 0, 1]) == .unsupportedVersion(2))
    }

    @Test("metadata beyond its limits is refused when it is written")
    func metadataLimits() {
        var metadata = ParcelMetadata()
        metadata.listener = String(repeating: "x", count: 256)
        #expect(!metadata.isEncodable)
        metadata.listener = nil
        metadata.annotations[""] = [1]
        #expect(!metadata.isEncodable)
        metadata.annotations = ["a": [UInt8](repeating: 0, count: 65_536)]
        #expect(!metadata.isEncodable)
        metadata.annotations = ["a": [UInt8](repeating: 0, count: 65_535)]
        #expect(metadata.isEncodable)
    }
}
